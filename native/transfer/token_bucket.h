// How many files per second: a token bucket as a pure function of time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace backupkit {

// A bucket of max(1, rate / 20) tokens, full at first and refilled evenly. Between any two points
// in time `t` seconds apart at most rate * t plus its depth are taken, and with enough takers no
// fewer than rate * t: elapsed time is counted in whole nanoseconds and nothing is rounded away.
// Rate 0 pauses: nothing is refilled and nothing can be taken. Times given must not go back.
class TokenBucket {
 public:
  using Time = std::chrono::steady_clock::time_point;

  TokenBucket(uint32_t rate, Time now);

  // Changes the rate from `now` on. What is in the bucket stays, as far as the new depth holds it.
  void set_rate(uint32_t rate, Time now);

  // Takes a token if there is one.
  [[nodiscard]] bool take(Time now);

  // When take() will succeed, which is `now` at the earliest; std::nullopt while paused.
  [[nodiscard]] std::optional<Time> next(Time now) const;

  [[nodiscard]] uint32_t rate() const { return rate_; }
  [[nodiscard]] uint32_t depth() const;

 private:
  [[nodiscard]] uint64_t level_at(Time now) const;

  uint32_t rate_;
  uint64_t level_;  // in 1e-9 tokens: a nanosecond at rate n refills n of them
  Time since_;      // when it had that level
};

}  // namespace backupkit
