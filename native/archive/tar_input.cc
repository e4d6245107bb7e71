#include "native/archive/tar_input.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "native/base/syscall.h"

namespace backupkit {
namespace {

constexpr size_t kMostKept = 16;  // windows

}  // namespace

Result<std::span<const uint8_t>> TarInput::view(uint64_t offset, size_t count) {
  const bool is_buffered = offset >= buffer_at_ && offset - buffer_at_ <= buffered_ &&
                           buffered_ - (offset - buffer_at_) >= count;
  if (!is_buffered) {
    if (auto filled = fill(offset, count); !filled) return failure(filled.error());
  }
  const std::span<const uint8_t> window(buffer_.get(), buffered_);
  return window.subspan(static_cast<size_t>(offset - buffer_at_), count);
}

Result<std::span<const uint8_t>> TarInput::view_some(uint64_t offset, uint64_t most) {
  const bool is_buffered = offset >= buffer_at_ && offset - buffer_at_ < buffered_;
  const uint64_t cheap = is_buffered ? buffer_at_ + buffered_ - offset : kWindow;
  return view(offset, static_cast<size_t>(std::min(cheap, most)));
}

SharedBytes TarInput::keep(std::span<const uint8_t> viewed) {
  if (!is_kept_ && pool_.taken() > kMostKept) return {};
  is_kept_ = true;
  return {viewed, buffer_};
}

Result<std::string> TarInput::hash() {
  if (auto hashed = hash_until(size_); !hashed) return failure(hashed.error());
  return hasher_.finish();
}

Result<void> TarInput::hash_until(uint64_t offset) {
  while (hashed_ < offset) {
    if (auto filled = fill(hashed_, 1); !filled) return filled;
  }
  return {};
}

Result<void> TarInput::fill(uint64_t offset, size_t count) {
  if (hashes_ && offset > hashed_) {
    if (auto hashed = hash_until(offset); !hashed) return hashed;
  }
  if (!buffer_ || is_kept_) buffer_ = pool_.take();
  is_kept_ = false;
  buffer_at_ = offset;
  buffered_ = 0;
  const auto most = static_cast<size_t>(std::min<uint64_t>(kWindow, size_ - offset));
  while (buffered_ < count) {
    const ssize_t got = retry([&] {
      return ::pread(in_.get(), buffer_.get() + buffered_, most - buffered_,
                     static_cast<off_t>(offset + buffered_));
    });
    if (got < 0) return errno_failure("reading an archive at byte " + std::to_string(offset));
    if (got == 0) {
      return failure(Code::kUnpackFailed, "byte " + std::to_string(offset + buffered_) +
                                              " of the archive: it is shorter than it should be");
    }
    buffered_ += static_cast<size_t>(got);
  }
  if (hashes_ && buffer_at_ + buffered_ > hashed_) {
    const std::span<const uint8_t> window(buffer_.get(), buffered_);
    hasher_.update(window.subspan(static_cast<size_t>(hashed_ - buffer_at_)));
    hashed_ = buffer_at_ + buffered_;
  }
  return {};
}

}  // namespace backupkit
