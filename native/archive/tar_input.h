// The bytes of an archive, by their place in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/base/hash.h"
#include "native/base/shared_bytes.h"

namespace backupkit {

enum class Hashing : uint8_t { kNo, kYes };

// A window on the first `size` bytes of a seekable descriptor, whose position is not used.
class TarInput {
 public:
  static constexpr size_t kWindow = BlockPool::kBlock;

  // With Hashing::kYes nothing is left out on the way forward, so that each byte is read once.
  TarInput(BorrowedFd in, uint64_t size, Hashing hashing)
      : in_(in), size_(size), hashes_(hashing == Hashing::kYes) {}

  [[nodiscard]] uint64_t size() const { return size_; }

  // The `count` bytes at `offset`, which lie within size() and are at most kWindow; valid until the
  // next call. Error kUnpackFailed: the archive is shorter than it was said to be.
  [[nodiscard]] Result<std::span<const uint8_t>> view(uint64_t offset, size_t count);

  // The same for 1 to `most` bytes, as many as cost nothing more.
  [[nodiscard]] Result<std::span<const uint8_t>> view_some(uint64_t offset, uint64_t most);

  // What view() gave last, to be kept. No keeper: too much is kept already.
  [[nodiscard]] SharedBytes keep(std::span<const uint8_t> viewed);

  // The hash of all size() bytes, the rest of which it reads. Only with Hashing::kYes.
  [[nodiscard]] Result<std::string> hash();

 private:
  [[nodiscard]] Result<void> hash_until(uint64_t offset);
  [[nodiscard]] Result<void> fill(uint64_t offset, size_t count);

  BorrowedFd in_;
  uint64_t size_;
  bool hashes_;
  Hasher hasher_;
  uint64_t hashed_ = 0;  // bytes
  BlockPool pool_;
  BlockPool::Block buffer_;
  bool is_kept_ = false;    // by others, too
  uint64_t buffer_at_ = 0;  // the offset of its first byte
  size_t buffered_ = 0;
};

}  // namespace backupkit
