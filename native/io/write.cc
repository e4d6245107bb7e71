#include "native/io/write.h"

#include <limits.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "native/base/syscall.h"

namespace backupkit {
namespace {

// What is left of the parts behind the first `count` bytes.
std::span<iovec> behind(std::span<iovec> parts, size_t count) {
  while (!parts.empty() && count >= parts.front().iov_len) {
    count -= parts.front().iov_len;
    parts = parts.subspan(1);
  }
  if (count > 0) {
    iovec& first = parts.front();
    first = {static_cast<uint8_t*>(first.iov_base) + count, first.iov_len - count};
  }
  return parts;
}

}  // namespace

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

Result<void> write_all(BorrowedFd out, std::span<const std::span<const uint8_t>> pieces,
                       std::string_view what) {
  std::vector<iovec> parts;
  parts.reserve(pieces.size());
  for (const auto piece : pieces) {
    // writev(2) only reads it.
    if (!piece.empty()) parts.push_back({const_cast<uint8_t*>(piece.data()), piece.size()});
  }
  std::span<iovec> left(parts);
  while (!left.empty()) {
    const int most = static_cast<int>(std::min<size_t>(left.size(), IOV_MAX));
    const auto count = retry([&] { return ::writev(out.get(), left.data(), most); });
    if (count < 0 && errno == EAGAIN && wait_for(out, POLLOUT)) continue;
    if (count <= 0) return failure(Error::from_errno(count < 0 ? errno : EIO, what));
    left = behind(left, static_cast<size_t>(count));
  }
  return {};
}

}  // namespace backupkit
