#include "native/service/time_limit.h"

#include <chrono>
#include <string>
#include <utility>

#include "native/base/boot_clock.h"

namespace backupkit {

void TimeLimit::start(std::chrono::milliseconds idle_limit) {
  deadline_ = Deadline(idle_limit, Loop::Clock::now());
  watch();
}

void TimeLimit::stop() { loop_.cancel(std::exchange(timer_, 0)); }

void TimeLimit::pause(bool is_paused) {
  const auto now = Loop::Clock::now();
  if (is_paused) {
    deadline_.pause(now);
  } else {
    deadline_.resume(now);
  }
  watch();
}

void TimeLimit::set(std::chrono::milliseconds limit) {
  limit_ = limit;
  deadline_.set_limit(BootClock::now() + limit);
  watch();
}

std::string TimeLimit::reason() const {
  if (!limit_) return "made no progress";
  return "reached its time limit of " + std::to_string(limit_->count()) + " ms";
}

void TimeLimit::watch() {
  stop();
  if (const auto limit = deadline_.limit()) {
    timer_ = loop_.call_at(*limit, [this] { look(); });
  } else if (const auto end = deadline_.idle_end()) {
    timer_ = loop_.call_at(*end, [this] { look(); });
  }
}

// Something may have moved since it was watched.
void TimeLimit::look() {
  timer_ = 0;
  if (!deadline_.is_over(Loop::Clock::now(), BootClock::now())) return watch();
  over_();
}

}  // namespace backupkit
