#include "native/io/write.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "native/base/syscall.h"

namespace backupkit {

Result<void> wait_for(BorrowedFd fd, short events) {
  if (!fd.is_open()) return {};  // poll(2) would pass it over and never end
  pollfd waiting{fd.get(), events, 0};
  if (retry([&] { return ::poll(&waiting, 1, -1); }) < 0) return errno_failure("waiting");
  return {};
}

Written write_most(BorrowedFd out, std::span<const uint8_t> bytes) {
  Written written;
  while (written.size < bytes.size()) {
    const auto rest = bytes.subspan(written.size);
    const auto count = retry([&] { return ::write(out.get(), rest.data(), rest.size()); });
    if (count > 0) {
      written.size += static_cast<size_t>(count);
      continue;
    }
    if (count < 0 && errno == EAGAIN && wait_for(out, POLLOUT)) continue;
    written.error = count < 0 ? errno : EIO;  // nothing taken and no reason: not for ever
    break;
  }
  return written;
}

Result<void> write_all(BorrowedFd out, std::span<const uint8_t> bytes, std::string_view what) {
  const Written written = write_most(out, bytes);
  if (written.error == 0) return {};
  return failure(Error::from_errno(written.error, what));
}

}  // namespace backupkit
