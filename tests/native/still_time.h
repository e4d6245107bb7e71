// Time that stands still, but for the waits that a test skips.
#pragma once

#include <poll.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <span>
#include <utility>

#include "native/base/syscall.h"
#include "native/extension/link.h"

namespace backupkit {

// A wait that is not skipped lasts until what it waits for has come. Outlives its Link.
class StillTime {
 public:
  using Clock = LinkTime::Clock;
  using Skips = std::function<bool(Clock::duration wait)>;

  // `skips` whether a wait as long as that is over at once, unless what it waits for is there.
  explicit StillTime(Skips skips) : skips_(std::move(skips)) {}

  [[nodiscard]] LinkTime link_time() {
    return {.now = [this] { return now(); },
            .poll = [this](std::span<pollfd> polled,
                           Clock::time_point until) { return poll(polled, until); }};
  }

  [[nodiscard]] Clock::duration passed() const { return now().time_since_epoch(); }

 private:
  [[nodiscard]] Clock::time_point now() const { return now_; }

  int poll(std::span<pollfd> polled, Clock::time_point until) {
    const bool is_over = until <= now() || skips_(until - now());
    const int ready = retry([&] { return ::poll(polled.data(), polled.size(), is_over ? 0 : -1); });
    if (ready == 0 && until > now()) now_ = until;
    return ready;
  }

  const Skips skips_;
  std::atomic<Clock::time_point> now_ = Clock::time_point();
};

}  // namespace backupkit
