// Who may call: the uids of etc/backupkit/service.json.
#pragma once

#include <sys/types.h>

#include <optional>
#include <set>
#include <string>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

// service.json, all of it optional:
//   { "backupUids": [n, ...], "systemUids": [n, ...], "deviceType": text, "systemFullName": text,
//     "maxExtensions": 1..64, "packingLimit": bytes }
// Without a list of uids root and the service's own uid are both.
struct ServiceSettings {
  std::set<uid_t> backup_uids;
  std::set<uid_t> system_uids;
  std::string device_type = "default";
  std::string system_name = "Linux";
  size_t max_extensions = 3;
  uint64_t packing_limit = 2U << 20;

  // Error kInvalidArgument: the file is there and is not as above; the message names the key.
  [[nodiscard]] static Result<ServiceSettings> read(BorrowedFd root);

  // Error kPermissionDenied (no backup permission) or kNotSystemApp, or nothing.
  [[nodiscard]] std::optional<Error> refusal(uid_t caller) const;
};

}  // namespace backupkit
