#include "native/service/metrics.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <string>

#include "native/service/open_metrics.h"
#include "tests/native/census.h"
#include "tests/native/open_metrics_check.h"

namespace backupkit {
namespace {

using MetricsTest = Census;

TEST_F(MetricsTest, a_family_is_as_the_format_has_it) {
  OpenMetrics text;
  text.family(OpenMetrics::Type::kCounter, "sent_bytes", "bytes", "What was sent.");
  text.sample({{"way", "up"}, {"who", "me"}}, uint64_t{12});
  text.family(OpenMetrics::Type::kGauge, "load", "", "How much.");
  text.sample({}, 1.5);
  EXPECT_EQ(text.finish(),
            "# TYPE sent_bytes counter\n"
            "# UNIT sent_bytes bytes\n"
            "# HELP sent_bytes What was sent.\n"
            "sent_bytes_total{way=\"up\",who=\"me\"} 12\n"
            "# TYPE load gauge\n"
            "# HELP load How much.\n"
            "load 1.5\n"
            "# EOF\n");
}

TEST_F(MetricsTest, labels_and_help_are_escaped) {
  OpenMetrics text;
  text.family(OpenMetrics::Type::kGauge, "a", "", "a\n\"b\"\\");
  text.sample({{"x", "a\"b\\c\nd} 5"}}, uint64_t{1});
  const auto written = text.finish();
  EXPECT_TRUE(written.contains(R"(a{x="a\"b\\c\nd} 5"} 1)")) << written;
  EXPECT_TRUE(written.contains(R"(# HELP a a\n\"b\"\\)")) << written;
  EXPECT_EQ(MetricsReader::read(written).at(R"(a{x="a\"b\\c\nd} 5"})"), 1);
}

TEST_F(MetricsTest, numbers_keep_their_value) {
  OpenMetrics text;
  text.family(OpenMetrics::Type::kGauge, "a", "", "Numbers.");
  text.sample({{"n", "most"}}, std::numeric_limits<uint64_t>::max());
  text.sample({{"n", "none"}}, std::numeric_limits<double>::infinity());
  text.sample({{"n", "small"}}, 1e-9);
  const auto samples = MetricsReader::read(text.finish());
  EXPECT_EQ(samples.at(R"(a{n="most"})"), 18446744073709551615.0);
  EXPECT_TRUE(std::isinf(samples.at(R"(a{n="none"})")));
  EXPECT_EQ(samples.at(R"(a{n="small"})"), 1e-9);
}

TEST_F(MetricsTest, a_service_at_rest_names_no_bundle) {
  const auto text = metrics_text(Metrics(), ServiceState());
  const auto samples = MetricsReader::read(text);
  EXPECT_FALSE(text.contains("bundle=")) << text;
  EXPECT_EQ(samples.at(R"(backupkit_sessions_open{kind="backup"})"), 0);
  EXPECT_EQ(samples.at(R"(backupkit_bundles_ended_total{code="0"})"), 0);
  EXPECT_GT(samples.at("process_resident_memory_bytes"), 100'000);
  EXPECT_EQ(samples.at("process_open_fds"), static_cast<double>(open_descriptors().size()));
  EXPECT_GE(samples.at("backupkit_uptime_seconds"), 0);
}

TEST_F(MetricsTest, a_service_at_work_says_what_it_does) {
  Metrics metrics;
  metrics.sessions_opened = {3, 1, 0};
  metrics.count_end(std::nullopt);
  metrics.count_end(Error{Code::kTimedOut, 0, ""});
  metrics.count_end(Error{Code::kTimedOut, 0, ""});
  metrics.count_end(Error{static_cast<Code>(77), 0, ""});
  metrics.count_refusal(Error{Code::kNotAdded, 0, ""});
  metrics.files_handed_out = 12;
  metrics.moved = {.packed = 100, .passed = 20, .unpacked = 3};
  ServiceState state;
  state.session = {SessionKind::kIncremental, 77, std::chrono::milliseconds(1500)};
  RunningBundle& one = state.running.emplace_back();
  one.name = "one";
  one.phase = "pack";
  one.age = std::chrono::seconds(2);
  one.files = 5;
  one.moved.packed = 7;
  one.rate = 60;
  one.files_waiting = 1;
  one.descriptors = 4;
  RunningBundle& two = state.running.emplace_back();
  two.name = "two";
  two.phase = "pack";
  two.descriptors = 2;
  state.bundles_waiting = 9;
  const auto samples = MetricsReader::read(metrics_text(metrics, state));
  const MetricsReader::Samples expected = {
      {R"(backupkit_sessions_open{kind="incremental"})", 1},
      {R"(backupkit_sessions_open{kind="backup"})", 0},
      {R"(backupkit_session_age_seconds{kind="incremental",pid="77"})", 1.5},
      {R"(backupkit_sessions_opened_total{kind="backup"})", 3},
      {R"(backupkit_bundles_running{phase="pack"})", 2},
      {"backupkit_bundles_waiting", 9},
      {R"(backupkit_bundles_ended_total{code="0"})", 1},
      {R"(backupkit_bundles_ended_total{code="13500003"})", 2},
      {R"(backupkit_bundles_ended_total{code="13900042"})", 1},
      {R"(backupkit_bundles_refused_total{code="13500001"})", 1},
      {R"(backupkit_bundle_phase{bundle="one",phase="pack"})", 1},
      {R"(backupkit_bundle_age_seconds{bundle="one"})", 2},
      {R"(backupkit_bundle_files{bundle="one"})", 5},
      {R"(backupkit_bundle_content_bytes{bundle="one",way="packed"})", 7},
      {R"(backupkit_bundle_send_rate{bundle="one"})", 60},
      {"backupkit_files_handed_out_total", 12},
      {R"(backupkit_content_bytes_total{way="packed"})", 100},
      {R"(backupkit_content_bytes_total{way="passed"})", 20},
      {R"(backupkit_content_bytes_total{way="unpacked"})", 3},
      {"backupkit_descriptors_in_flight", 6},
      {"backupkit_files_waiting", 1}};
  for (const auto& [key, value] : expected) {
    ASSERT_TRUE(samples.contains(key)) << key;
    EXPECT_EQ(samples.at(key), value) << key;
  }
  EXPECT_FALSE(samples.contains(R"(backupkit_bundle_send_rate{bundle="two"})"));
}

}  // namespace
}  // namespace backupkit
