// Who may call, and the limits: etc/backupkit/service.json.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

// service.json, all of it optional, comments allowed:
//   { "callers": [ {"uid": n, "backup": bool, "system": bool}, ... ],
//     "deviceType": text, "systemFullName": text,
//     "maxExtensions": 1..64, "packingLimit": bytes,
//     "maxSendRate": files per second, 0 = no limit, "idleLimit": milliseconds, 1 and more }
// `backup` and `system` are false where they are not given. Without `callers` root and the
// service's own uid are both.
struct ServiceSettings {
  struct Caller {
    bool backup = false;
    bool system = false;
  };

  std::map<uid_t, Caller> callers;
  std::string device_type = "default";
  std::string system_name = "Linux";
  size_t max_extensions = 3;
  uint64_t packing_limit = 2U << 20;
  uint32_t max_send_rate = 800;
  std::chrono::milliseconds idle_limit = std::chrono::minutes(15);

  // Error kInvalidArgument: the file is there and is not as above; the message names the line.
  [[nodiscard]] static Result<ServiceSettings> read(BorrowedFd root);

  // Error kPermissionDenied (no backup permission) or kNotSystemApp, or nothing.
  [[nodiscard]] std::optional<Error> refusal(uid_t caller) const;
};

}  // namespace backupkit
