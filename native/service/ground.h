// The device root that a service serves, and that it is the only one.
#pragma once

#include <string>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

[[nodiscard]] Result<UniqueFd> open_root(const std::string& path);

// Held as long as the descriptor is open. Error kSessionConflict: somebody has it.
[[nodiscard]] Result<UniqueFd> lock_root(BorrowedFd root, const std::string& path);

}  // namespace backupkit
