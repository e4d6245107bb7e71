// Bytes that more than one needs, without a copy for each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace backupkit {

// Some bytes and whoever keeps them; they do not change any more.
struct SharedBytes {
  std::span<const uint8_t> bytes;
  std::shared_ptr<const void> keeper{};
};

// Blocks of memory of one size, which are used again when nobody keeps them. Thread-safe, and they
// may outlive it.
class BlockPool {
 public:
  static constexpr size_t kBlock = size_t{256} << 10U;

  // NOLINTBEGIN(modernize-avoid-c-arrays): never initialised
  using Block = std::shared_ptr<uint8_t[]>;
  [[nodiscard]] Block take();

  // How many somebody has.
  [[nodiscard]] size_t taken() const;

 private:
  struct Spare {
    std::mutex mutex;
    std::vector<std::unique_ptr<uint8_t[]>> blocks;
    size_t taken = 0;
  };
  // NOLINTEND(modernize-avoid-c-arrays)

  std::shared_ptr<Spare> spare_ = std::make_shared<Spare>();
};

// Gives out a pool's blocks piece by piece. Not thread-safe.
class BlockWriter {
 public:
  // The pool outlives this.
  explicit BlockWriter(BlockPool& pool) : pool_(pool) {}

  // Room for the next piece, of any size; what was in it and not kept is lost.
  [[nodiscard]] std::span<uint8_t> room(size_t size);
  // Keeps all of the room() asked for last.
  [[nodiscard]] SharedBytes keep();

 private:
  BlockPool& pool_;
  BlockPool::Block block_;  // that the room is in
  size_t used_ = BlockPool::kBlock;
  BlockPool::Block large_;  // instead, for what would waste too much of a block
  std::span<uint8_t> room_;
};

}  // namespace backupkit
