// How long a bundle may take, watched on the loop.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "native/io/loop.h"
#include "native/transfer/deadline.h"

namespace backupkit {

// Runs on the loop's thread. As a Deadline counts: at first the time without progress, and once a
// limit was set, the time until then.
class TimeLimit {
 public:
  // `over` is called when the time is up.
  TimeLimit(Loop& loop, std::function<void()> over) : loop_(loop), over_(std::move(over)) {}
  ~TimeLimit() { stop(); }
  TimeLimit(const TimeLimit&) = delete;
  TimeLimit& operator=(const TimeLimit&) = delete;

  // Counts from now on.
  void start(std::chrono::milliseconds idle_limit);
  void stop();

  // Something moved.
  void progress() { deadline_.progress(Loop::Clock::now()); }

  // Whether it is a time that does not count as idle.
  void pause(bool is_paused);

  // Replaces whatever limit there was.
  void set(std::chrono::milliseconds limit);

  // What the bundle has done when the time is up, as the end of a sentence on it.
  [[nodiscard]] std::string reason() const;

  // How long nothing has moved, without pauses.
  [[nodiscard]] Loop::Clock::duration idle() const { return deadline_.idle(Loop::Clock::now()); }

 private:
  void watch();
  void look();

  Loop& loop_;
  std::function<void()> over_;
  Deadline deadline_{Loop::Clock::duration::zero(), {}};  // until it starts
  std::optional<std::chrono::milliseconds> limit_;        // as it was set
  Loop::TimerId timer_ = 0;
};

}  // namespace backupkit
