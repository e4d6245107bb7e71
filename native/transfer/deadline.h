// When a bundle's time is up: a pure function of time.
#pragma once

#include <chrono>
#include <optional>

#include "native/base/boot_clock.h"

namespace backupkit {

// At first a limit on time without progress: on the monotonic clock, which stands still while the
// machine is suspended, since nothing can progress then; time spent paused does not count either.
// Once set_limit() was called, that point in time alone counts: on the clock that runs on while the
// machine is suspended, since its caller waits for it. Times given must not go back.
class Deadline {
 public:
  using Steady = std::chrono::steady_clock;
  using Boot = BootClock;

  Deadline(Steady::duration idle_limit, Steady::time_point now)
      : idle_limit_(idle_limit), moved_(now) {}

  // Something moved.
  void progress(Steady::time_point now);

  // Begins and ends a time that does not count as idle. Calls of the same kind in a row are one.
  void pause(Steady::time_point now);
  void resume(Steady::time_point now);

  // Replaces whatever limit there was.
  void set_limit(Boot::time_point limit) { limit_ = limit; }

  // How long nothing has moved, without pauses.
  [[nodiscard]] Steady::duration idle(Steady::time_point now) const;

  [[nodiscard]] bool is_over(Steady::time_point steady, Boot::time_point boot) const;

  // When to look again, on the one clock that counts; both are absent while paused without a limit.
  // It may turn out that something has moved meanwhile.
  [[nodiscard]] std::optional<Steady::time_point> idle_end() const;
  [[nodiscard]] std::optional<Boot::time_point> limit() const { return limit_; }

 private:
  Steady::duration idle_limit_;
  Steady::time_point moved_;
  std::optional<Steady::time_point> paused_;
  std::optional<Boot::time_point> limit_;
};

}  // namespace backupkit
