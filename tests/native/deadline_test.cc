#include "native/transfer/deadline.h"

#include <gtest/gtest.h>

namespace backupkit {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using Steady = Deadline::Steady::time_point;
using Boot = Deadline::Boot::time_point;

constexpr Steady kStart{hours(1)};
constexpr Boot kBoot{hours(7)};

TEST(Deadline, is_over_after_the_limit_without_progress_and_not_before) {
  const Deadline deadline(minutes(15), kStart);
  EXPECT_EQ(deadline.idle_end(), kStart + minutes(15));
  EXPECT_FALSE(deadline.is_over(kStart + minutes(15) - seconds(1), kBoot));
  EXPECT_TRUE(deadline.is_over(kStart + minutes(15), kBoot));
}

TEST(Deadline, progress_begins_the_limit_anew_however_often) {
  Deadline deadline(minutes(15), kStart);
  Steady now = kStart;
  for (int i = 0; i < 100; ++i) {
    now += minutes(14);
    ASSERT_FALSE(deadline.is_over(now, kBoot));
    deadline.progress(now);
  }
  EXPECT_EQ(deadline.idle_end(), now + minutes(15));
}

TEST(Deadline, a_pause_does_not_count_as_idle) {
  Deadline deadline(minutes(15), kStart);
  deadline.pause(kStart + minutes(10));
  deadline.pause(kStart + hours(3));  // a second one is the first
  EXPECT_FALSE(deadline.idle_end().has_value());
  EXPECT_FALSE(deadline.is_over(kStart + hours(100), kBoot));
  deadline.resume(kStart + hours(100));
  deadline.resume(kStart + hours(100));
  EXPECT_EQ(deadline.idle(kStart + hours(100)), minutes(10));
  EXPECT_EQ(deadline.idle_end(), kStart + hours(100) + minutes(5));
}

TEST(Deadline, progress_in_a_pause_counts_from_the_resume) {
  Deadline deadline(minutes(15), kStart);
  deadline.pause(kStart + minutes(10));
  deadline.progress(kStart + minutes(20));
  deadline.resume(kStart + minutes(60));
  EXPECT_EQ(deadline.idle_end(), kStart + minutes(75));
}

TEST(Deadline, a_limit_counts_alone_and_ignores_progress_and_pauses) {
  Deadline deadline(minutes(15), kStart);
  deadline.set_limit(kBoot + hours(1));
  deadline.pause(kStart);
  EXPECT_FALSE(deadline.idle_end().has_value());
  EXPECT_EQ(deadline.limit(), kBoot + hours(1));
  EXPECT_FALSE(deadline.is_over(kStart + minutes(59), kBoot + minutes(59)));
  deadline.progress(kStart + minutes(59));
  EXPECT_TRUE(deadline.is_over(kStart + minutes(60), kBoot + minutes(60)));
}

TEST(Deadline, a_new_limit_replaces_the_old_one) {
  Deadline deadline(minutes(15), kStart);
  deadline.set_limit(kBoot + seconds(1));
  deadline.set_limit(kBoot + hours(4));
  EXPECT_FALSE(deadline.is_over(kStart + hours(3), kBoot + hours(3)));
  deadline.set_limit(kBoot);
  EXPECT_TRUE(deadline.is_over(kStart, kBoot));
}

// While a machine is suspended CLOCK_BOOTTIME runs on and CLOCK_MONOTONIC does not.
TEST(Deadline, a_suspended_machine_is_not_idle_but_a_limit_runs_on) {
  Deadline deadline(minutes(15), kStart);
  EXPECT_FALSE(deadline.is_over(kStart + minutes(1), kBoot + hours(8)));
  deadline.set_limit(kBoot + hours(1));
  EXPECT_TRUE(deadline.is_over(kStart + minutes(1), kBoot + hours(8)));
}

}  // namespace
}  // namespace backupkit
