// File systems that are mounted inside a directory.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

// The places below `directory` where something is mounted, a bind mount of the same file system
// among them, as paths relative to it. From /proc/self/mountinfo (proc(5)).
[[nodiscard]] Result<std::vector<std::string>> mounts_below(BorrowedFd directory);

// The type of the file system of that device which is mounted somewhere here, or "": a file of it
// may be open all the same. Asks the file system nothing.
[[nodiscard]] Result<std::string> type_of_mounted(dev_t device);

// Whether the opened `directory` is one: its entries are not of the directory that it is in.
[[nodiscard]] Result<bool> is_mount(BorrowedFd directory);

}  // namespace backupkit
