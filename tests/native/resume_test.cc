// A restore that is interrupted anywhere, and what the next one has left to do.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/native/census.h"
#include "tests/native/tracer.h"
#include "tests/native/tree.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

constexpr size_t kFileSize = 20'000;
constexpr int kSmall = 40;
constexpr int kBig = 4;
constexpr size_t kVisited = 12;
constexpr uid_t kSomebody = 65534;

// With the parts written where the service says, and with them read where they lie.
class ResumeTest : public Census, public ::testing::WithParamInterface<const char*> {
 protected:
  struct Outcome {
    Traced traced;
    uint64_t copied = 0;  // bytes that the program had to give
    uint64_t moved = 0;   // bytes that the extension had to write besides

    [[nodiscard]] bool is_well() const {
      return WIFEXITED(traced.status) && WEXITSTATUS(traced.status) == 0;
    }
  };

  void SetUp() override {
    Census::SetUp();
    scratch_.emplace(memory_directory());
    make_file(*scratch_ / "device/etc/backupkit/bundles/app.json",
              R"({"name": "app", "sandbox": "data/app",
                  "backup": {"allowToBackupRestore": true, "includes": ["*"]}})");
    make_file(*scratch_ / "device/etc/backupkit/service.json", R"({"packingLimit": 30000})");
    make_state("new");
    new_ = tree_of(sandbox());
    fs::create_directories(*scratch_ / "files");
    ASSERT_EQ(run("backup", {}).traced.status, 0);
    restore_old_state();
    old_ = tree_of(sandbox());
  }

  void TearDown() override {
    scratch_.reset();
    Census::TearDown();
  }

  [[nodiscard]] fs::path sandbox() const { return *scratch_ / "device/data/app"; }
  [[nodiscard]] fs::path left() const { return sandbox() / ".backup/transaction"; }

  // Small files, some in directories that nobody may write, big ones, and links between them.
  void make_state(const std::string& name) const {
    fs::remove_all(sandbox());
    std::mt19937 random(name == "new" ? 1 : 2);
    const auto text = [&](size_t size) {
      std::string bytes(size, 'x');
      for (auto& byte : bytes) byte = static_cast<char>('a' + random() % 26);
      return bytes;
    };
    for (int i = 0; i < kSmall; ++i) {
      const auto folder = "folder " + std::to_string(i % 7);
      make_file(sandbox() / folder / "deep" / std::to_string(i), text(kFileSize), 0440);
    }
    for (int i = 0; i < kBig; ++i) {
      make_file(sandbox() / "big" / std::to_string(i), text(5 * kFileSize), 0400);
    }
    fs::create_hard_link(sandbox() / "big/0", sandbox() / "again");
    fs::create_hard_link(sandbox() / "folder 3/deep/3", sandbox() / "folder 4/again");
    fs::create_symlink("big/1", sandbox() / "link");
    settle_times(sandbox(), name == "new" ? 2'000'000 : 1'000'000);
    for (const auto& path : {"folder 1/deep", "folder 1", "big"}) {
      ASSERT_EQ(::chmod((sandbox() / path).c_str(), 0555), 0);
    }
    if (::geteuid() == 0) give_away();
  }

  // To a user without privilege: so that is what the extension is, too.
  void give_away() const {
    std::vector<fs::path> all{sandbox()};
    for (const auto& entry : fs::recursive_directory_iterator(sandbox())) all.push_back(entry);
    for (const auto& path : all) ASSERT_EQ(::lchown(path.c_str(), kSomebody, kSomebody), 0);
  }

  void restore_old_state() const { make_state("old"); }

  [[nodiscard]] Outcome run(const std::string& what, const std::vector<Fault>& faults) const {
    Outcome outcome;
    const fs::path files = *scratch_ / "files";
    outcome.traced =
        run_traced({BACKUPKIT_DRIVE, what, BACKUPKIT_BACKUPD, *scratch_ / "device", files}, faults);
    std::ifstream report(files.string() + ".report");
    for (std::string line; std::getline(report, line);) {
      if (line.ends_with(" bytes copied")) outcome.copied = std::stoull(line);
      const auto json = nlohmann::json::parse(line, nullptr, false);
      if (!json.is_object()) continue;
      for (const auto& part : json.at("resultInfo")) {
        if (part.at("type") == "Totals") outcome.moved = part.at("bytesMoved");
      }
    }
    return outcome;
  }

  void recover() const {
    const auto done =
        run_traced({BACKUPKIT_BACKUPD, "--recover", "--root", *scratch_ / "device"}, {});
    ASSERT_EQ(done.status, 0);
  }

  [[nodiscard]] std::map<std::string, std::string> without_left() const {
    auto tree = tree_of(sandbox());
    std::erase_if(tree, [](const auto& entry) { return entry.first.starts_with(".backup"); });
    return tree;
  }

  // Kills a restore as late as it has not begun to change the sandbox, and gives what it would be.
  Outcome interrupt_late() const {
    const auto whole = run(GetParam(), {{"--extension", 1, kNoCall}});
    EXPECT_TRUE(whole.is_well());
    expect_same(tree_of(sandbox()), new_);
    for (size_t at = whole.traced.calls; at > 0; at -= std::min(at, whole.traced.calls / 30)) {
      restore_old_state();
      const auto killed = run(GetParam(), {{"--extension", 1, at}});
      if (!killed.is_well() && fs::exists(left())) break;
    }
    expect_same(without_left(), old_);
    EXPECT_TRUE(fs::exists(left() / "received"));
    return whole;
  }

  void check_new() const {
    expect_same(tree_of(sandbox()), new_);
    EXPECT_FALSE(fs::exists(sandbox() / ".backup"));
  }

  std::optional<ScratchDirectory> scratch_;
  std::map<std::string, std::string> old_;
  std::map<std::string, std::string> new_;
};

TEST_P(ResumeTest, killed_late_it_has_only_the_rest_to_do) {
  const auto whole = interrupt_late();
  const bool gives = std::string(GetParam()) == "resume-given";
  const uint64_t written = (gives ? 0 : kSmall * kFileSize) + 5 * kBig * kFileSize;
  EXPECT_GE(whole.copied, written);
  EXPECT_LT(whole.copied, written + kSmall * kFileSize);
  EXPECT_EQ(whole.moved, kSmall * kFileSize);
  const auto resumed = run(GetParam(), {});
  ASSERT_TRUE(resumed.is_well());
  check_new();
  std::cout << "of " << whole.copied << " bytes copied " << resumed.copied << ", of " << whole.moved
            << " moved " << resumed.moved << "\n";
  EXPECT_LE(resumed.moved, whole.moved / 10);
  EXPECT_LE(resumed.copied, whole.copied / 10);  // manage.json is always given anew
}

TEST_P(ResumeTest, killed_anywhere_the_old_state_waits_and_the_next_one_makes_the_new) {
  const auto whole = run(GetParam(), {{"--extension", 1, kNoCall}});
  ASSERT_TRUE(whole.is_well());
  const size_t step = whole.traced.calls / kVisited + 1;
  size_t kept = 0;
  for (size_t at = 1 + std::random_device()() % step; at <= whole.traced.calls; at += step) {
    SCOPED_TRACE("killed at call " + std::to_string(at));
    restore_old_state();
    const auto killed = run(GetParam(), {{"--extension", 1, at}});
    if (!killed.is_well()) expect_same(without_left(), old_);
    kept += fs::exists(left()) ? 1 : 0;
    recover();  // which leaves what waits
    ASSERT_TRUE(run(GetParam(), {}).is_well());
    check_new();
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(kept, 5U);
}

TEST_P(ResumeTest, one_that_is_resumed_is_interrupted_again_and_again) {
  const auto whole = run(GetParam(), {{"--extension", 1, kNoCall}});
  restore_old_state();
  size_t kills = 0;
  for (size_t at = 40;; at += whole.traced.calls / 12) {
    const auto next = run(GetParam(), {{"--extension", 1, at}});
    if (next.is_well()) break;
    expect_same(without_left(), old_);
    ++kills;
    ASSERT_LT(kills, 100U);
  }
  check_new();
  EXPECT_GT(kills, 5U);
}

TEST_P(ResumeTest, the_service_or_the_client_may_go_as_well) {
  for (const std::string role : {"--embedded", GetParam()}) {
    const auto whole = run(GetParam(), {{role, 1, kNoCall}});
    ASSERT_TRUE(whole.is_well());
    restore_old_state();
    const auto killed = run(GetParam(), {{role, 1, whole.traced.calls * 3 / 4}});
    ASSERT_FALSE(killed.is_well());
    recover();
    ASSERT_TRUE(run(GetParam(), {}).is_well());
    check_new();
  }
}

TEST_P(ResumeTest, what_waits_is_not_believed) {
  (void)interrupt_late();
  size_t spoilt = 0;
  for (const auto& entry : fs::recursive_directory_iterator(left())) {
    if (!entry.is_regular_file() || entry.path().filename() == "identity") continue;
    // As a power cut leaves files: the size is right and the content is none.
    ASSERT_EQ(::chmod(entry.path().c_str(), 0600), 0);
    const auto time = fs::last_write_time(entry.path());
    std::fstream(entry.path(), std::ios::in | std::ios::out).write("\0\0\0", 3);
    fs::last_write_time(entry.path(), time);
    ++spoilt;
  }
  EXPECT_GT(spoilt, 10U);
  ASSERT_TRUE(run(GetParam(), {}).is_well());
  check_new();
}

TEST_P(ResumeTest, a_stage_of_another_restore_is_emptied) {
  (void)interrupt_late();
  make_file(left() / "new/stranger", "of another restore");
  ASSERT_EQ(::lchown((left() / "new/stranger").c_str(), ::geteuid() == 0 ? kSomebody : -1U, -1U),
            0);
  make_file(left() / "received/stranger", "of another backup");
  make_file(left() / "identity", "another one");
  ASSERT_TRUE(run(GetParam(), {}).is_well());
  check_new();
}

TEST_P(ResumeTest, a_restore_that_does_not_ask_for_it_begins_anew) {
  const auto whole = interrupt_late();
  const auto anew = run("restore", {});
  ASSERT_TRUE(anew.is_well());
  EXPECT_EQ(anew.moved, whole.moved);
  EXPECT_GE(anew.copied, whole.copied);
  check_new();
}

TEST_P(ResumeTest, after_a_week_nothing_waits_any_more) {
  (void)interrupt_late();
  recover();
  ASSERT_TRUE(fs::exists(left() / "received"));
  set_time(left() / "received", ::time(nullptr) - 7 * 24 * 3600 - 1, 0);
  recover();
  EXPECT_FALSE(fs::exists(sandbox() / ".backup"));
  expect_same(tree_of(sandbox()), old_);
}

INSTANTIATE_TEST_SUITE_P(parts, ResumeTest, ::testing::Values("resume", "resume-given"),
                         [](const auto& named) -> std::string {
                           return named.index == 0 ? "written" : "given";
                         });

}  // namespace
}  // namespace backupkit
