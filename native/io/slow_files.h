// Files whose close may wait for a file system that does not answer.
#pragma once

#include <sys/types.h>

#include <map>
#include <span>

#include "backupkit/unique_fd.h"

namespace backupkit {

// close(2) tells FUSE, and what lies behind a network, and waits for the answer. Asks no file
// system anything.
class SlowFiles {
 public:
  // Has every one of `files` closed aside that is not known to be of this machine's own disks or
  // memory.
  void mark(std::span<UniqueFd> files);

 private:
  [[nodiscard]] bool may_wait(BorrowedFd file);

  std::map<dev_t, bool> known_;  // whether those of a device may wait
};

}  // namespace backupkit
