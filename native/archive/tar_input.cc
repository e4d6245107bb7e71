#include "native/archive/tar_input.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "native/base/syscall.h"

namespace backupkit {

Result<std::span<const uint8_t>> TarInput::view(uint64_t offset, size_t count) {
  const bool is_buffered = offset >= buffer_at_ && offset - buffer_at_ <= buffered_ &&
                           buffered_ - (offset - buffer_at_) >= count;
  if (!is_buffered) {
    if (auto filled = fill(offset, count); !filled) return failure(filled.error());
  }
  return std::span<const uint8_t>(buffer_).subspan(static_cast<size_t>(offset - buffer_at_), count);
}

Result<std::span<const uint8_t>> TarInput::view_some(uint64_t offset, uint64_t most) {
  const bool is_buffered = offset >= buffer_at_ && offset - buffer_at_ < buffered_;
  const uint64_t cheap = is_buffered ? buffer_at_ + buffered_ - offset : kWindow;
  return view(offset, static_cast<size_t>(std::min(cheap, most)));
}

Result<void> TarInput::fill(uint64_t offset, size_t count) {
  if (buffer_.empty()) buffer_.resize(kWindow);
  buffer_at_ = offset;
  buffered_ = 0;
  const auto most = static_cast<size_t>(std::min<uint64_t>(kWindow, size_ - offset));
  while (buffered_ < count) {
    const ssize_t got = retry([&] {
      return ::pread(in_.get(), buffer_.data() + buffered_, most - buffered_,
                     static_cast<off_t>(offset + buffered_));
    });
    if (got < 0) return errno_failure("reading an archive at byte " + std::to_string(offset));
    if (got == 0) {
      return failure(Code::kUnpackFailed, "byte " + std::to_string(offset + buffered_) +
                                              " of the archive: it is shorter than it should be");
    }
    buffered_ += static_cast<size_t>(got);
  }
  return {};
}

}  // namespace backupkit
