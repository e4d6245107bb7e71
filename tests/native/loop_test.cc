#include "native/io/loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include <csignal>
#include <vector>

#include "tests/native/census.h"

namespace backupkit {
namespace {

using LoopTest = Census;
using std::chrono::hours;
using std::chrono::milliseconds;

UniqueFd ready_event() { return UniqueFd(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)); }

TEST_F(LoopTest, handler_is_called_while_its_descriptor_is_ready) {
  const auto loop = Loop::make().value();
  const auto event = ready_event();
  int calls = 0;
  ASSERT_TRUE(loop->watch(event.borrow(), EPOLLIN, [&](uint32_t events) {
    EXPECT_EQ(events, static_cast<uint32_t>(EPOLLIN));
    if (++calls == 3) loop->stop();
  }));
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(calls, 3);
}

TEST_F(LoopTest, handler_may_forget_itself_and_live_on_to_its_end) {
  const auto loop = Loop::make().value();
  const auto event = ready_event();
  const auto kept = std::make_shared<int>(0);
  const std::weak_ptr<int> seen = kept;
  ASSERT_TRUE(loop->watch(event.borrow(), EPOLLIN, [&, own = kept](uint32_t) {
    loop->forget(event.borrow());
    loop->forget(event.borrow());
    ++*own;
    EXPECT_EQ(own.use_count(), 2);
  }));
  loop->call_at(Loop::Clock::now() + milliseconds(20), [&] { loop->stop(); });
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(*kept, 1);
  EXPECT_EQ(kept.use_count(), 1);
}

TEST_F(LoopTest, handler_may_forget_others_whose_events_were_fetched) {
  const auto loop = Loop::make().value();
  std::vector<UniqueFd> events;
  for (int i = 0; i < 8; ++i) events.push_back(ready_event());
  int calls = 0;
  for (const auto& event : events) {
    ASSERT_TRUE(loop->watch(event.borrow(), EPOLLIN, [&](uint32_t) {
      ++calls;
      for (const auto& each : events) loop->forget(each.borrow());
    }));
  }
  loop->call_at(Loop::Clock::now() + milliseconds(20), [&] { loop->stop(); });
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(calls, 1);
}

TEST_F(LoopTest, number_that_is_used_anew_does_not_get_the_old_event) {
  const auto loop = Loop::make().value();
  std::array<UniqueFd, 2> events{ready_event(), ready_event()};
  int wrong = 0;
  int calls = 0;
  const auto handler = [&](size_t other) {
    return [&, other](uint32_t) {
      ++calls;
      loop->forget(events.at(0).borrow());
      loop->forget(events.at(1).borrow());
      const int number = events.at(other).get();
      events.at(other).reset();
      events.at(other).reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
      EXPECT_EQ(events.at(other).get(), number);
      EXPECT_TRUE(loop->watch(events.at(other).borrow(), EPOLLIN, [&](uint32_t) { ++wrong; }));
    };
  };
  ASSERT_TRUE(loop->watch(events[0].borrow(), EPOLLIN, handler(1)));
  ASSERT_TRUE(loop->watch(events[1].borrow(), EPOLLIN, handler(0)));
  loop->call_at(Loop::Clock::now() + milliseconds(20), [&] { loop->stop(); });
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(wrong, 0);
}

TEST_F(LoopTest, change_switches_events_off_and_on) {
  const auto loop = Loop::make().value();
  const auto event = ready_event();
  std::vector<uint32_t> seen;
  ASSERT_TRUE(loop->watch(event.borrow(), 0, [&](uint32_t events) {
    seen.push_back(events);
    loop->stop();
  }));
  EXPECT_EQ(loop->watch(event.borrow(), EPOLLIN, nullptr).error().sys_errno, EEXIST);
  loop->call_at(Loop::Clock::now() + milliseconds(10), [&] {
    EXPECT_TRUE(seen.empty());
    EXPECT_TRUE(loop->change(event.borrow(), EPOLLOUT));
  });
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(seen, std::vector<uint32_t>{EPOLLOUT});
  loop->forget(event.borrow());
  EXPECT_EQ(loop->change(event.borrow(), EPOLLIN).error().sys_errno, ENOENT);
}

TEST_F(LoopTest, those_that_are_called_last_come_after_the_others_of_the_turn) {
  const auto loop = Loop::make().value();
  const std::array<UniqueFd, 3> events{ready_event(), ready_event(), ready_event()};
  std::vector<uint32_t> order;
  for (const auto& event : events) {
    ASSERT_TRUE(loop->watch(event.borrow(), EPOLLIN, [&](uint32_t seen) {
      order.push_back(seen);
      if (seen != 0) loop->call_last(event.borrow());
      if (order.size() == 6) loop->stop();
    }));
  }
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(order, (std::vector<uint32_t>{EPOLLIN, EPOLLIN, EPOLLIN, 0, 0, 0}));
}

TEST_F(LoopTest, one_to_be_called_last_is_not_when_it_is_forgotten) {
  const auto loop = Loop::make().value();
  const auto event = ready_event();
  const auto silent = UniqueFd(::eventfd(0, EFD_CLOEXEC));
  ASSERT_TRUE(loop->watch(silent.borrow(), EPOLLIN, [&](uint32_t) { FAIL(); }));
  ASSERT_TRUE(loop->watch(event.borrow(), EPOLLIN, [&](uint32_t) {
    loop->call_last(silent.borrow());
    loop->forget(silent.borrow());
    loop->call_at(Loop::Clock::now(), [&] { loop->stop(); });
    loop->forget(event.borrow());
  }));
  loop->call_last(event.borrow());
  ASSERT_TRUE(loop->run());
}

TEST_F(LoopTest, what_is_to_be_called_last_is_in_the_next_run_when_this_one_is_stopped) {
  const auto loop = Loop::make().value();
  const auto event = ready_event();
  int last = 0;
  ASSERT_TRUE(loop->watch(event.borrow(), EPOLLIN, [&](uint32_t seen) {
    if (seen == 0) ++last;
    if (seen != 0) loop->call_last(event.borrow());
    loop->stop();
  }));
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(last, 0);
  ASSERT_TRUE(loop->change(event.borrow(), 0));
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(last, 1);
}

TEST_F(LoopTest, timers_run_in_order_of_time_then_of_calls) {
  const auto loop = Loop::make().value();
  const auto now = Loop::Clock::now();
  std::vector<int> order;
  loop->call_at(now + milliseconds(30), [&] {
    order.push_back(5);
    loop->stop();
  });
  loop->call_at(now + milliseconds(10), [&] { order.push_back(2); });
  loop->call_at(now + milliseconds(20), [&] { order.push_back(4); });
  loop->call_at(now + milliseconds(10), [&] { order.push_back(3); });
  loop->call_at(Loop::Clock::time_point::min(), [&] { order.push_back(0); });
  loop->call_at(now - hours(1), [&] { order.push_back(1); });
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5}));
  EXPECT_GE(Loop::Clock::now(), now + milliseconds(30));
}

TEST_F(LoopTest, cancelled_timer_does_not_run_also_when_due_with_its_canceller) {
  const auto loop = Loop::make().value();
  const auto now = Loop::Clock::now();
  bool ran = false;
  Loop::TimerId victim = 0;
  loop->call_at(now, [&] { loop->cancel(victim); });
  victim = loop->call_at(now, [&] { ran = true; });
  const auto never = loop->call_at(now, [&] { ran = true; });
  loop->cancel(never);
  loop->cancel(never);
  loop->cancel(12345);
  loop->call_at(now, [&] { loop->stop(); });
  ASSERT_TRUE(loop->run());
  EXPECT_FALSE(ran);
}

TEST_F(LoopTest, timers_that_renew_themselves_do_not_starve_descriptors) {
  const auto loop = Loop::make().value();
  const auto event = ready_event();
  int turns = 0;
  std::function<void()> renew = [&] {
    ++turns;
    loop->call_at(Loop::Clock::now(), renew);
  };
  loop->call_at(Loop::Clock::now(), renew);
  ASSERT_TRUE(loop->watch(event.borrow(), EPOLLIN, [&](uint32_t) {
    if (turns > 100) loop->stop();
  }));
  ASSERT_TRUE(loop->run());
  EXPECT_GT(turns, 100);
}

TEST_F(LoopTest, stop_counts_before_run_and_ends_the_turn) {
  const auto loop = Loop::make().value();
  loop->stop();
  ASSERT_TRUE(loop->run());
  int calls = 0;
  const std::array events{ready_event(), ready_event()};
  for (const auto& event : events) {
    ASSERT_TRUE(loop->watch(event.borrow(), EPOLLIN, [&](uint32_t) {
      ++calls;
      loop->stop();
    }));
  }
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(calls, 1);
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(calls, 2);
}

TEST_F(LoopTest, signal_is_read_from_its_descriptor) {
  const auto loop = Loop::make().value();
  const auto signals = signal_fd({SIGUSR1, SIGTERM}).value();
  EXPECT_TRUE(is_close_on_exec(signals.borrow()));
  int got = 0;
  ASSERT_TRUE(loop->watch(signals.borrow(), EPOLLIN, [&](uint32_t) {
    signalfd_siginfo info{};
    EXPECT_EQ(::read(signals.get(), &info, sizeof(info)), static_cast<ssize_t>(sizeof(info)));
    got = static_cast<int>(info.ssi_signo);
    loop->stop();
  }));
  ASSERT_EQ(::raise(SIGUSR1), 0);
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(got, SIGUSR1);
}

TEST_F(LoopTest, its_own_descriptors_are_close_on_exec) {
  const auto before = open_descriptors();
  const auto loop = Loop::make().value();
  for (const auto& [number, what] : open_descriptors()) {
    EXPECT_TRUE(before.contains(number) || is_close_on_exec(BorrowedFd(number))) << what;
  }
}

TEST_F(LoopTest, tasks_of_both_clocks_are_called_and_can_be_cancelled) {
  const auto loop = Loop::make().value();
  std::string order;
  const auto dropped = loop->call_at(BootClock::now(), [&] { order += "x"; });
  loop->call_at(BootClock::now() + milliseconds(5), [&] { order += "a"; });
  loop->call_at(Loop::Clock::now() + milliseconds(15), [&] { order += "b"; });
  loop->call_at(BootClock::now() + milliseconds(25), [&] {
    order += "c";
    loop->stop();
  });
  loop->cancel(dropped);
  ASSERT_TRUE(loop->run());
  EXPECT_EQ(order, "abc");
}

}  // namespace
}  // namespace backupkit
