#include "backupkit/unique_fd.h"

#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <thread>

namespace backupkit {
namespace {

// The descriptor is gone even when close(2) says EINTR or EIO; whoever must know whether the bytes
// arrived has synced before.
void close_here(int number) { (void)::close(number); }

void close_on_a_thread(int number) {
  try {
    std::thread(close_here, number).detach();
  } catch (const std::system_error&) {
    close_here(number);  // there can be no thread: better late than never
  }
}

}  // namespace

void UniqueFd::reset(int number) {
  if (number_ >= 0) {
    const int kept = errno;
    closes_aside_ ? close_on_a_thread(number_) : close_here(number_);
    errno = kept;
  }
  closes_aside_ = false;
  number_ = number;
}

}  // namespace backupkit
