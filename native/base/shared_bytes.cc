#include "native/base/shared_bytes.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

namespace backupkit {

BlockPool::Block BlockPool::take() {
  std::unique_ptr<uint8_t[]> block;  // NOLINT(modernize-avoid-c-arrays)
  {
    const std::lock_guard held(spare_->mutex);
    ++spare_->taken;
    if (!spare_->blocks.empty()) {
      block = std::move(spare_->blocks.back());
      spare_->blocks.pop_back();
    }
  }
  if (!block) block = std::make_unique_for_overwrite<uint8_t[]>(kBlock);
  const auto give_back = [spare = spare_](uint8_t* given) {
    const std::lock_guard held(spare->mutex);
    spare->blocks.emplace_back(given);
    --spare->taken;
  };
  return {block.release(), give_back};
}

size_t BlockPool::taken() const {
  const std::lock_guard held(spare_->mutex);
  return spare_->taken;
}

std::span<uint8_t> BlockWriter::room(size_t size) {
  constexpr size_t kLarge = BlockPool::kBlock / 4;
  large_.reset();
  if (size > kLarge) {
    large_ = std::make_shared_for_overwrite<uint8_t[]>(size);
    return room_ = {large_.get(), size};
  }
  if (size > BlockPool::kBlock - used_) {
    block_ = pool_.take();
    used_ = 0;
  }
  return room_ = {block_.get() + used_, size};
}

SharedBytes BlockWriter::keep() {
  if (large_) return {room_, std::move(large_)};
  used_ += room_.size();
  return {room_, block_};
}

}  // namespace backupkit
