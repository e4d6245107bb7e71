// Locks on a range of a file's bytes, as POSIX programs take them.
#pragma once

#include <chrono>
#include <cstdint>

#include "backupkit/unique_fd.h"

namespace backupkit {

// Waits until nobody has an exclusive lock on the `length` bytes from `start` on, and takes a
// shared one, which the open file has until it is closed or unlock() gives it back. False: it was
// not to be had until `until`, or the file system has no locks. Uses SIGALRM of this thread,
// whatever the process does with it.
[[nodiscard]] bool await_shared_lock(BorrowedFd file, int64_t start, int64_t length,
                                     std::chrono::steady_clock::time_point until);

void unlock(BorrowedFd file, int64_t start, int64_t length);

}  // namespace backupkit
