#include "native/transfer/token_bucket.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

namespace backupkit {
namespace {

constexpr uint64_t kToken = 1'000'000'000;

}  // namespace

TokenBucket::TokenBucket(uint32_t rate, Time now)
    : rate_(rate), level_(kToken * depth()), since_(now) {}

uint32_t TokenBucket::depth() const { return std::max(1U, rate_ / 20); }

void TokenBucket::set_rate(uint32_t rate, Time now) {
  level_ = level_at(now);
  since_ = now;
  rate_ = rate;
  level_ = std::min(level_, kToken * depth());
}

bool TokenBucket::take(Time now) {
  const uint64_t level = level_at(now);
  if (rate_ == 0 || level < kToken) return false;
  level_ = level - kToken;
  since_ = now;
  return true;
}

std::optional<TokenBucket::Time> TokenBucket::next(Time now) const {
  if (rate_ == 0) return std::nullopt;
  const uint64_t level = level_at(now);
  if (level >= kToken) return now;
  return now + std::chrono::nanoseconds(static_cast<int64_t>((kToken - level + rate_ - 1) / rate_));
}

uint64_t TokenBucket::level_at(Time now) const {
  const uint64_t full = kToken * depth();
  if (rate_ == 0) return level_;
  const auto passed = std::chrono::duration_cast<std::chrono::nanoseconds>(now - since_).count();
  const auto elapsed = static_cast<uint64_t>(std::max<int64_t>(passed, 0));
  // The time to fill an empty bucket; also keeps the product below from overflowing.
  if (elapsed >= full / rate_ + 1) return full;
  return std::min(full, level_ + elapsed * rate_);
}

}  // namespace backupkit
