#include "native/transfer/token_bucket.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace backupkit {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using Time = TokenBucket::Time;

constexpr Time kStart{std::chrono::hours(1)};

// When each of `count` tokens was taken by one who takes whatever there is, and who is woken at the
// time that next() says or up to `lateness` later.
std::vector<Time> taken(TokenBucket& bucket, Time from, size_t count, nanoseconds lateness) {
  std::mt19937_64 random(count);
  std::vector<Time> times;
  for (Time now = from; times.size() < count;) {
    while (times.size() < count && bucket.take(now)) times.push_back(now);
    now = bucket.next(now).value();
    now +=
        nanoseconds(lateness.count() == 0 ? 0 : random() % static_cast<uint64_t>(lateness.count()));
  }
  return times;
}

// The most tokens in any window of `length`.
size_t fullest(const std::vector<Time>& times, nanoseconds length) {
  size_t most = 0;
  for (size_t first = 0, last = 0; last < times.size(); ++last) {
    while (times[last] - times[first] >= length) ++first;
    most = std::max(most, last - first + 1);
  }
  return most;
}

class Rate : public testing::TestWithParam<uint32_t> {};

TEST_P(Rate, no_window_has_more_than_its_share_and_the_depth) {
  const uint32_t rate = GetParam();
  TokenBucket bucket(rate, kStart);
  const auto times = taken(bucket, kStart, 10 * rate + 20, milliseconds(3));
  EXPECT_LE(fullest(times, seconds(1)), rate + bucket.depth());
  EXPECT_LE(fullest(times, milliseconds(100)), rate / 10 + 1 + bucket.depth());
}

TEST_P(Rate, ten_seconds_give_ten_times_the_rate) {
  const uint32_t rate = GetParam();
  TokenBucket bucket(rate, kStart);
  const auto times = taken(bucket, kStart, 10 * rate + bucket.depth(), nanoseconds(0));
  // The burst apart, the rate is exact to the nanosecond that each token is rounded up by.
  const auto spent = times.back() - kStart;
  EXPECT_GE(spent, seconds(10));
  EXPECT_LE(spent, seconds(10) + nanoseconds(1));
}

TEST_P(Rate, what_lateness_costs_is_made_up_for) {
  const uint32_t rate = GetParam();
  TokenBucket bucket(rate, kStart);
  const auto late = std::min<nanoseconds>(milliseconds(20), seconds(1) / rate);
  const auto times = taken(bucket, kStart, 10 * rate + bucket.depth(), late);
  EXPECT_LE(times.back() - kStart, seconds(10) + milliseconds(100));
}

INSTANTIATE_TEST_SUITE_P(Rates, Rate, testing::Values(1, 10, 60, 300, 800));

TEST(TokenBucket, a_new_one_is_full_and_its_depth_is_a_twentieth_of_a_second) {
  for (const auto& [rate, depth] : {std::pair{1U, 1U}, {39U, 1U}, {60U, 3U}, {800U, 40U}}) {
    TokenBucket bucket(rate, kStart);
    EXPECT_EQ(bucket.depth(), depth);
    for (uint32_t i = 0; i < depth; ++i) EXPECT_TRUE(bucket.take(kStart));
    EXPECT_FALSE(bucket.take(kStart));
  }
}

TEST(TokenBucket, next_is_the_first_moment_at_which_take_succeeds) {
  TokenBucket bucket(3, kStart);
  ASSERT_TRUE(bucket.take(kStart));
  const auto next = bucket.next(kStart).value();
  TokenBucket early = bucket;
  EXPECT_FALSE(early.take(next - nanoseconds(1)));
  EXPECT_TRUE(bucket.take(next));
}

TEST(TokenBucket, rate_0_pauses_and_another_rate_resumes_without_a_burst) {
  TokenBucket bucket(60, kStart);
  while (bucket.take(kStart)) {
  }
  bucket.set_rate(0, kStart);
  const auto later = kStart + std::chrono::hours(5);
  EXPECT_FALSE(bucket.take(later));
  EXPECT_FALSE(bucket.next(later).has_value());
  bucket.set_rate(100, later);
  EXPECT_FALSE(bucket.take(later));
  EXPECT_EQ(bucket.next(later).value(), later + milliseconds(10));
}

TEST(TokenBucket, a_change_acts_on_the_next_token) {
  TokenBucket bucket(1, kStart);
  ASSERT_TRUE(bucket.take(kStart));
  EXPECT_EQ(bucket.next(kStart).value(), kStart + seconds(1));
  bucket.set_rate(800, kStart + milliseconds(500));  // half a token is there
  EXPECT_EQ(bucket.next(kStart + milliseconds(500)).value(),
            kStart + milliseconds(500) + nanoseconds(625'000));
}

TEST(TokenBucket, a_lower_rate_keeps_no_more_than_its_own_depth) {
  TokenBucket bucket(800, kStart);
  bucket.set_rate(60, kStart);
  int burst = 0;
  while (bucket.take(kStart)) ++burst;
  EXPECT_EQ(burst, 3);
}

TEST(TokenBucket, a_year_of_idleness_neither_overflows_nor_bursts) {
  TokenBucket bucket(1'000'000, kStart);
  while (bucket.take(kStart)) {
  }
  const auto later = kStart + std::chrono::hours(24 * 365);
  uint32_t burst = 0;
  while (bucket.take(later)) ++burst;
  EXPECT_EQ(burst, bucket.depth());
}

}  // namespace
}  // namespace backupkit
