#include "native/io/loop.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <functional>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

#include "native/base/syscall.h"

namespace backupkit {
namespace {

constexpr size_t kEventsPerTurn = 64;
// Watches have a generation above 0 in the upper half.
constexpr uint64_t kSteadyTag = 0;
constexpr uint64_t kBootTag = 1;

uint64_t tag_of(int number, uint32_t generation) {
  return (static_cast<uint64_t>(generation) << 32) | static_cast<uint32_t>(number);
}

epoll_event event_of(uint32_t events, uint64_t tag) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  return event;
}

timespec timespec_of(std::chrono::nanoseconds when) {
  // 0 would disarm, and a negative time is none.
  const auto since = std::max(when, std::chrono::nanoseconds(1));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
  timespec time{};
  time.tv_sec = static_cast<time_t>(seconds.count());
  time.tv_nsec = static_cast<decltype(time.tv_nsec)>((since - seconds).count());
  return time;
}

}  // namespace

Result<std::unique_ptr<Loop>> Loop::make() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.is_open()) return errno_failure("epoll");
  std::unique_ptr<Loop> loop(new Loop(std::move(epoll)));  // private maker
  // steady_clock is CLOCK_MONOTONIC in libstdc++ and libc++.
  for (auto opened : {loop->open_timer(loop->steady_, CLOCK_MONOTONIC, kSteadyTag),
                      loop->open_timer(loop->boot_, CLOCK_BOOTTIME, kBootTag)}) {
    if (!opened) return failure(opened.error());
  }
  return loop;
}

Result<void> Loop::open_timer(Timers& timers, int clock, uint64_t tag) {
  timers.timer = UniqueFd(::timerfd_create(clock, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timers.timer.is_open()) return errno_failure("timerfd");
  auto event = event_of(EPOLLIN, tag);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, timers.timer.get(), &event) != 0) {
    return errno_failure("epoll");
  }
  return {};
}

Result<void> Loop::watch(BorrowedFd fd, uint32_t events, Handler handler) {
  if (++last_generation_ == 0) ++last_generation_;
  auto event = event_of(events, tag_of(fd.get(), last_generation_));
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) {
    return errno_failure("watch a descriptor");
  }
  watches_.insert_or_assign(fd.get(),
                            Watch{last_generation_, std::make_shared<Handler>(std::move(handler))});
  return {};
}

Result<void> Loop::change(BorrowedFd fd, uint32_t events) {
  const auto found = watches_.find(fd.get());
  if (found == watches_.end()) {
    return failure(Error::from_errno(ENOENT, "change a watched descriptor"));
  }
  auto event = event_of(events, tag_of(fd.get(), found->second.generation));
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd.get(), &event) != 0) {
    return errno_failure("change a watched descriptor");
  }
  return {};
}

void Loop::forget(BorrowedFd fd) {
  if (watches_.erase(fd.get()) == 0) return;
  // It fails only where the descriptor is closed, and then the kernel has forgotten it already.
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd.get(), nullptr);
}

void Loop::call_last(BorrowedFd fd) {
  const auto found = watches_.find(fd.get());
  if (found != watches_.end()) last_.push_back(tag_of(fd.get(), found->second.generation));
}

Result<void> Loop::run() {
  std::array<epoll_event, kEventsPerTurn> events{};
  while (!stopped_) {
    for (Timers* timers : {&steady_, &boot_}) {
      if (auto armed = arm(*timers); !armed) return armed;
    }
    const int patience = last_.empty() ? -1 : 0;
    const int count = retry([&] {
      return ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), patience);
    });
    if (count < 0) return errno_failure("wait for events");
    for (size_t i = 0; i < static_cast<size_t>(count) && !stopped_; ++i) {
      dispatch(events.at(i).data.u64, events.at(i).events);
    }
    run_last();
  }
  stopped_ = false;
  return {};
}

Loop::TimerId Loop::call_at(Clock::time_point when, std::function<void()> task) {
  return add(steady_, when.time_since_epoch(), std::move(task));
}

Loop::TimerId Loop::call_at(BootClock::time_point when, std::function<void()> task) {
  return add(boot_, when.time_since_epoch(), std::move(task));
}

Loop::TimerId Loop::add(Timers& timers, std::chrono::nanoseconds when, std::function<void()> task) {
  const TimerId id = ++last_timer_;
  timers.tasks.emplace(Timers::Key(when, id), std::move(task));
  timers.times.emplace(id, when);
  return id;
}

void Loop::cancel(TimerId id) {
  for (Timers* timers : {&steady_, &boot_}) {
    const auto found = timers->times.find(id);
    if (found == timers->times.end()) continue;
    timers->tasks.erase(Timers::Key(found->second, id));
    timers->times.erase(found);
  }
}

// Once a turn, so that a hundred call_at() cost one system call. Setting the timer also takes back
// that it was readable.
Result<void> Loop::arm(Timers& timers) {
  const auto wanted =
      timers.tasks.empty() ? Timers::Nanoseconds::max() : timers.tasks.begin()->first.first;
  if (wanted == timers.armed) return {};
  itimerspec setting{};
  if (!timers.tasks.empty()) setting.it_value = timespec_of(wanted);
  if (::timerfd_settime(timers.timer.get(), TFD_TIMER_ABSTIME, &setting, nullptr) != 0) {
    return errno_failure("set a timer");
  }
  timers.armed = wanted;
  return {};
}

// Tasks that are added meanwhile wait for the next turn, so that they cannot starve descriptors.
void Loop::run_due(Timers& timers, std::chrono::nanoseconds now) {
  timers.armed = Timers::Nanoseconds::min();  // it has fired: set it again in any case
  std::vector<Timers::Key> due;
  for (const auto& [key, task] : timers.tasks) {
    if (key.first > now) break;
    due.push_back(key);
  }
  for (const auto& key : due) {
    if (stopped_) return;
    auto entry = timers.tasks.extract(key);
    if (entry.empty()) continue;  // cancelled by one before
    timers.times.erase(key.second);
    entry.mapped()();
  }
}

void Loop::dispatch(uint64_t tag, uint32_t events) {
  if (tag == kSteadyTag) return run_due(steady_, Clock::now().time_since_epoch());
  if (tag == kBootTag) return run_due(boot_, BootClock::now().time_since_epoch());
  const auto found = watches_.find(static_cast<int>(static_cast<uint32_t>(tag)));
  if (found == watches_.end() || found->second.generation != tag >> 32) return;
  const auto handler = found->second.handler;  // held, for it may forget itself
  (*handler)(events);
}

// What these ask for comes in the next turn, so that they cannot starve descriptors.
void Loop::run_last() {
  called_last_.swap(last_);
  auto next = called_last_.begin();
  for (; next != called_last_.end() && !stopped_; ++next) dispatch(*next, 0);
  last_.insert(last_.end(), next, called_last_.end());  // for the next run()
  called_last_.clear();
}

Result<UniqueFd> signal_fd(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) {
    if (sigaddset(&set, signal) != 0) return errno_failure("signal set");
  }
  if (const int error = pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) {
    return failure(Error::from_errno(error, "block signals"));
  }
  UniqueFd made(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!made.is_open()) return errno_failure("signalfd");
  return made;
}

}  // namespace backupkit
