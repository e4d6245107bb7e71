// The bytes of an archive, by their place in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

// A window on the first `size` bytes of a seekable descriptor, whose position is not used.
class TarInput {
 public:
  static constexpr size_t kWindow = size_t{256} << 10U;

  TarInput(BorrowedFd in, uint64_t size) : in_(in), size_(size) {}

  [[nodiscard]] uint64_t size() const { return size_; }

  // The `count` bytes at `offset`, which lie within size() and are at most kWindow; valid until the
  // next call. Error kUnpackFailed: the archive is shorter than it was said to be.
  [[nodiscard]] Result<std::span<const uint8_t>> view(uint64_t offset, size_t count);

  // The same for 1 to `most` bytes, as many as cost nothing more.
  [[nodiscard]] Result<std::span<const uint8_t>> view_some(uint64_t offset, uint64_t most);

 private:
  [[nodiscard]] Result<void> fill(uint64_t offset, size_t count);

  BorrowedFd in_;
  uint64_t size_;
  std::vector<uint8_t> buffer_;
  uint64_t buffer_at_ = 0;  // the offset of its first byte
  size_t buffered_ = 0;
};

}  // namespace backupkit
