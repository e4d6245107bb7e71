// CLOCK_BOOTTIME as a clock of std::chrono: monotonic, and it runs on while the machine is
// suspended (clock_gettime(2)).
#pragma once

#include <chrono>
#include <ctime>

namespace backupkit {

struct BootClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  // The name is the standard's (Cpp17Clock).
  static constexpr bool is_steady = true;  // NOLINT(readability-identifier-naming)

  static time_point now() {
    timespec time{};
    // Cannot fail: the clock is older than any kernel this runs on.
    (void)::clock_gettime(CLOCK_BOOTTIME, &time);
    return time_point(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
  }
};

}  // namespace backupkit
