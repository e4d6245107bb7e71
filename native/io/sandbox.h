// An app's sandbox, opened by the very process that works in it: where its file system does not
// answer, that process waits and the service does not.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
};

// Where a sandbox is, and whose: of the directory's owner where nothing is said.
struct SandboxPlace {
  std::string path;  // below the device root, unless it begins with '/'
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
};

// Its directory, opened to read. Blocks as long as the file system does.
[[nodiscard]] Result<UniqueFd> open_sandbox(BorrowedFd root, const std::string& path);

// Who works in `sandbox`, the directory at `place`. Error kNotPermitted: it is of another user, and
// this process has no privilege to become that one.
[[nodiscard]] Result<User> user_of(BorrowedFd sandbox, const SandboxPlace& place);

}  // namespace backupkit
