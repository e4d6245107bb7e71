// An app whose sandbox lies on a file system that does not answer.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "tests/native/flow_run.h"
#include "tests/native/silent_mount.h"

namespace backupkit {
namespace {

constexpr size_t kFiles = 20;

class Stalled : public Flow {
 protected:
  void SetUp() override {
    Flow::SetUp();
    static const std::string missing = SilentMount::missing();
    if (!missing.empty()) GTEST_SKIP() << missing;
    configure(R"(, "idleLimit": 2000)");
    add_bundle("other", kFiles);
    add_bundle("stalled", 0);
    mount_.emplace(root() + "/data/stalled");
  }

  void TearDown() override {
    mount_.reset();
    Flow::TearDown();
  }

  // A backup of that bundle alone is told with this code that it does not begin.
  int32_t begin_of(const std::string& bundle) {
    begins_.clear();
    files_.clear();
    append({bundle});
    while (!begins_.contains(bundle)) {
      if (!receive()) return -1;
    }
    release();
    files_.clear();
    return begins_[bundle];
  }

  std::optional<SilentMount> mount_;
};

TEST_F(Stalled, a_bundle_costs_its_own_time_and_no_other_anything) {
  std::ofstream(root() + "/etc/backupkit/bundles/stalled.json")
      << R"({"name": "stalled", "sandbox": "data/stalled", "extension": {"command": ["/bin/cat"]},)"
      << R"( "backup": {"allowToBackupRestore": true, "includes": ["*"]}})";
  start();
  append({"stalled", "other"});
  receive_all("other", kFiles);
  EXPECT_FALSE(begins_.contains("stalled")) << "it still waits";
  while (!begins_.contains("stalled")) ASSERT_TRUE(receive());
  EXPECT_EQ(begins_["stalled"], static_cast<int32_t>(Code::kTimedOut));
  release();
}

TEST_F(Stalled, an_extension_that_cannot_be_killed_is_the_only_one_of_its_bundle) {
  start();
  EXPECT_EQ(begin_of("stalled"), static_cast<int32_t>(Code::kTimedOut));
  EXPECT_EQ(begin_of("stalled"), static_cast<int32_t>(Code::kExtensionStartFailed));
  EXPECT_EQ(begin_of("other"), 0);
  mount_.reset();  // what lies below it is there again, and the extension ends
  int32_t code = -1;
  for (int i = 0; code != 0 && i < 1000; ++i) code = begin_of("stalled");
  EXPECT_EQ(code, 0);
}

TEST_F(Stalled, a_survey_has_the_sizes_of_the_others) {
  start();
  ASSERT_TRUE(client_->capabilities(1, true, {}).has_value());
  std::string text;
  while (text.empty()) {
    auto batch = client_->await();
    ASSERT_TRUE(batch.has_value() && batch->has_value());
    auto frames = decode_message((*batch)->frames, std::move((*batch)->fds)).value();
    for (auto& frame : frames) {
      if (frame.type == FrameType::kReply && !frame.fds.empty()) text = text_of(frame.fds[0]);
    }
  }
  const auto file = nlohmann::json::parse(text);
  ASSERT_EQ(file["bundleInfos"].size(), 2U);
  for (const auto& info : file["bundleInfos"]) {
    EXPECT_EQ(info["spaceOccupied"] == 0, info["name"] == "stalled") << info.dump();
  }
  ASSERT_EQ(file["problems"].size(), 1U);
  EXPECT_EQ(file["problems"][0]["bundle"], "stalled");
}

TEST_F(Stalled, a_restore_that_it_interrupted_holds_up_no_other_bundle) {
  std::filesystem::create_directories(root() + "/var/lib/backupkit/restores");
  std::ofstream(root() + "/var/lib/backupkit/restores/stalled");
  start();
  append({"other"});
  receive_all("other", kFiles);
  release();
}

}  // namespace
}  // namespace backupkit
