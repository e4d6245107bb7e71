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

  // The code of the reply to a question about compatibility.
  int32_t answer_about(const std::string& bundle) {
    constexpr uint8_t kBackupCompatibility = 1;
    EXPECT_TRUE(client_->app_call(++question_, kBackupCompatibility, bundle, {}).has_value());
    for (;;) {
      auto batch = client_->await();
      if (!batch || !*batch) return -1;
      auto frames = decode_message((*batch)->frames, std::move((*batch)->fds)).value();
      for (auto& frame : frames) {
        ByteReader reader(frame.body);
        if (frame.type != FrameType::kReply || reader.get<uint32_t>() != question_) continue;
        const auto error = read_error(reader);
        return error ? static_cast<int32_t>(error->code) : 0;
      }
    }
  }

  // The file that comes with a reply of the next message, if there is one.
  std::string reply_text() {
    auto batch = client_->await();
    EXPECT_TRUE(batch.has_value() && batch->has_value());
    if (!batch || !*batch) return "the service has gone";
    std::string text;
    auto frames = decode_message((*batch)->frames, std::move((*batch)->fds)).value();
    for (auto& frame : frames) {
      if (frame.type == FrameType::kReply && !frame.fds.empty()) text = text_of(frame.fds[0]);
    }
    return text;
  }

  std::optional<SilentMount> mount_;

 private:
  uint32_t question_ = 1U << 30;
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

// Its end is told when its extension has ended, or is given up.
TEST_F(Stalled, a_bundle_whose_time_is_up_takes_no_other_limit) {
  start();
  append({"stalled"});
  mount_->await_waiter();
  EXPECT_TRUE(update_rate("stalled", 800));
  while (update_timer("stalled", 0)) {
  }
  EXPECT_FALSE(update_timer("stalled", 60'000));
  EXPECT_FALSE(update_rate("stalled", 800));
  EXPECT_FALSE(begins_.contains("stalled")) << "it is still to be told";
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

// A client may ask as often as it likes.
TEST_F(Stalled, questions_about_the_app_leave_one_process) {
  start();
  EXPECT_EQ(answer_about("stalled"), 0) << "that it did not answer in time is none of its own";
  EXPECT_EQ(answer_about("stalled"), static_cast<int32_t>(Code::kTimedOut));
  EXPECT_EQ(begin_of("stalled"), static_cast<int32_t>(Code::kExtensionStartFailed));
  EXPECT_EQ(answer_about("other"), 0);
  mount_.reset();
  int32_t code = -1;
  for (int i = 0; code != 0 && i < 1000; ++i) code = answer_about("stalled");
  EXPECT_EQ(code, 0);
}

TEST_F(Stalled, a_survey_has_the_sizes_of_the_others) {
  start();
  ASSERT_TRUE(client_->capabilities(1, true, {}).has_value());
  std::string text;
  while (text.empty()) text = reply_text();
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

// A bundle beside a file system, in its sandbox, that stops to answer.
class StalledLater : public Stalled {
 protected:
  void SetUp() override {
    Stalled::SetUp();
    if (IsSkipped()) return;
    mount_.reset();
    const auto media = root() + "/data/stalled/media";
    std::filesystem::create_directory(media);
    mount_.emplace(media, "la la la");
    start();
    append({"stalled"});
    while (!song_) {
      auto file = next_file();
      ASSERT_TRUE(file.has_value());
      if (text_of(file->fd) == "la la la") song_ = std::move(file);
    }
    song_->fd.reset();  // the service has it still
    mount_->be_silent();
  }

  std::optional<Handed> song_;  // not taken
};

TEST_F(StalledLater, a_file_that_the_client_has_not_taken_costs_no_other_bundle_anything) {
  take(*song_);
  release();
  EXPECT_EQ(begin_of("other"), 0);
}

TEST_F(StalledLater, nobody_who_is_started_waits_for_it) {
  ASSERT_TRUE(client_->capabilities(1, true, {}).has_value());
  std::string text;
  while (text.empty()) text = reply_text();
  EXPECT_NE(text.find("other"), std::string::npos);
  files_.clear();
}

}  // namespace
}  // namespace backupkit
