#include "native/transfer/deadline.h"

#include <optional>

namespace backupkit {

void Deadline::progress(Steady::time_point now) {
  moved_ = now;
  if (paused_) paused_ = now;
}

void Deadline::pause(Steady::time_point now) {
  if (!paused_) paused_ = now;
}

void Deadline::resume(Steady::time_point now) {
  if (!paused_) return;
  moved_ += now - *paused_;
  paused_.reset();
}

Deadline::Steady::duration Deadline::idle(Steady::time_point now) const {
  return paused_.value_or(now) - moved_;
}

bool Deadline::is_over(Steady::time_point steady, Boot::time_point boot) const {
  if (limit_) return boot >= *limit_;
  return !paused_ && idle(steady) >= idle_limit_;
}

std::optional<Deadline::Steady::time_point> Deadline::idle_end() const {
  if (limit_ || paused_) return std::nullopt;
  return moved_ + idle_limit_;
}

}  // namespace backupkit
