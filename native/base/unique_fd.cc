#include "backupkit/unique_fd.h"

#include <unistd.h>

#include <cerrno>

namespace backupkit {

void UniqueFd::reset(int number) {
  if (number_ >= 0) {
    const int kept = errno;
    // The descriptor is gone even when close(2) says EINTR or EIO; whoever must know whether the
    // bytes arrived has synced before.
    (void)::close(number_);
    errno = kept;
  }
  number_ = number;
}

}  // namespace backupkit
