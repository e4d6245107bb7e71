// The daemon's one thread: waits for descriptors and for points in time, and calls handlers.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/base/boot_clock.h"

namespace backupkit {

// An epoll loop. Everything but its making happens on one thread. Handlers run to their end, must
// not block, and may call everything here but run(). An event says EPOLLIN, EPOLLOUT, ... as
// epoll(7) names them.
class Loop {
 public:
  using Clock = std::chrono::steady_clock;
  using Handler = std::function<void(uint32_t events)>;
  using TimerId = uint64_t;  // never 0

  [[nodiscard]] static Result<std::unique_ptr<Loop>> make();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Calls `handler` whenever `fd` has one of `events` (level-triggered) or EPOLLERR or EPOLLHUP.
  // `fd` must stay open until forget(). Error EEXIST: it is watched already.
  [[nodiscard]] Result<void> watch(BorrowedFd fd, uint32_t events, Handler handler);

  // Waits for other events of a watched descriptor from now on.
  [[nodiscard]] Result<void> change(BorrowedFd fd, uint32_t events);

  // Ends the watch, if there is one: its handler is not called again, not even for an event that
  // was already fetched, and not when the number is watched anew meanwhile. Call it before closing.
  void forget(BorrowedFd fd);

  // Calls the handler of a watched descriptor once more, with no event, when those of this turn
  // have run: then is done together what each of them adds to.
  void call_last(BorrowedFd fd);

  // Serves until stop() is called, also when that was before. Error: the wait itself failed.
  [[nodiscard]] Result<void> run();

  // Makes run() return after the handler that runs now.
  void stop() { stopped_ = true; }

  // Calls `task` once, at `when` or as soon after as the loop comes to it: earlier times first,
  // equal times in the order of the calls. A time in the past is served in the next turn.
  TimerId call_at(Clock::time_point when, std::function<void()> task);

  // The same on the clock that runs on while the machine is suspended.
  TimerId call_at(BootClock::time_point when, std::function<void()> task);

  // Drops a task that has not begun; unknown or past ids are ignored.
  void cancel(TimerId id);

 private:
  struct Watch {
    uint32_t generation = 0;
    std::shared_ptr<Handler> handler;
  };
  // The tasks of one clock, and the timerfd that says when the first is due.
  struct Timers {
    using Nanoseconds = std::chrono::nanoseconds;
    using Key = std::pair<Nanoseconds, TimerId>;

    UniqueFd timer;
    std::map<Key, std::function<void()>> tasks;
    std::unordered_map<TimerId, Nanoseconds> times;
    Nanoseconds armed = Nanoseconds::max();  // what the timerfd waits for
  };

  explicit Loop(UniqueFd epoll) : epoll_(std::move(epoll)) {}
  [[nodiscard]] Result<void> open_timer(Timers& timers, int clock, uint64_t tag);
  [[nodiscard]] static Result<void> arm(Timers& timers);
  TimerId add(Timers& timers, std::chrono::nanoseconds when, std::function<void()> task);
  void run_due(Timers& timers, std::chrono::nanoseconds now);
  void dispatch(uint64_t tag, uint32_t events);
  void run_last();

  UniqueFd epoll_;
  Timers steady_;
  Timers boot_;
  std::unordered_map<int, Watch> watches_;
  std::vector<uint64_t> last_;  // tags of those to be called at the end of a turn
  std::vector<uint64_t> called_last_;
  uint32_t last_generation_ = 0;
  TimerId last_timer_ = 0;
  bool stopped_ = false;
};

// Blocks `signals` in the calling thread and gives a non-blocking signalfd that reads them. Call it
// before other threads are started, which inherit the mask.
[[nodiscard]] Result<UniqueFd> signal_fd(std::initializer_list<int> signals);

}  // namespace backupkit
