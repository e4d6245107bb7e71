// What a backup says of each entry of a sandbox, and what it keeps of it.
#include "native/extension/backup.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "tests/native/backup_run.h"
#include "tests/native/census.h"
#include "tests/native/still_time.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

class BackupTest : public Census {
 protected:
  void SetUp() override {
    Census::SetUp();
    plan_.sandbox = dir_.string();
    give(dir_);
  }

  void make(const std::string& path, const std::string& content) const {
    fs::create_directories((dir_ / path).parent_path());
    std::ofstream(dir_ / path) << content;
    for (auto at = dir_ / path; at != dir_; at = at.parent_path()) give(at);
  }

  // As root the extension's thread works as nobody, so that there is something it may not read.
  void give(const fs::path& path) const {
    if (::geteuid() != 0) return;
    ASSERT_EQ(::lchown(path.c_str(), kNobody, kNobody), 0);
  }

  BackupOutcome back_up_as_user() {
    plan_.as_nobody = ::geteuid() == 0;
    return BackupRun::of(plan_);
  }

  // A later incremental run, or the first.
  BackupOutcome back_up_again(const BackupOutcome* last) {
    plan_.old_manifest = last == nullptr ? "" : last->rows.at("manage.json");
    return back_up_as_user();
  }

  static std::map<std::string, ManifestRow> rows_of(const BackupOutcome& outcome) {
    std::map<std::string, ManifestRow> rows;
    const UniqueFd file = file_of(outcome.rows.at("manage.json"));
    auto reader = ManifestReader::open(file.borrow()).value();
    for (auto row = reader->next().value(); row; row = reader->next().value()) {
      rows[row->path] = *row;
    }
    return rows;
  }

  // Sums over where entries end.
  static uint64_t sum(const BackupOutcome& outcome) {
    uint64_t all = 0;
    for (const char* name :
         {"stored", "excluded", "unreadable", "unsupported", "vanished", "unstable"}) {
      all += outcome.total(name);
    }
    return all;
  }

  void make_socket(const std::string& name) const {
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = (dir_ / name).string();
    ASSERT_LT(path.size(), sizeof(address.sun_path));
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
              0);
  }

  ScratchDirectory scratch_{"/tmp"};  // a short path, and one that another user can reach
  fs::path dir_ = scratch_.path();
  BackupPlan plan_;
};

using Contents = std::map<std::string, std::string>;

TEST_F(BackupTest, every_entry_is_counted_once_and_the_rules_are_named) {
  plan_.settings["excludes"] = {"cache", "*.tmp"};
  plan_.settings["packingLimit"] = 100;
  for (const std::string path : {"a/1", "a/2", "a/cache/3", "b/4.tmp", "b/5.tmp", ".backup/6"}) {
    make(path, path);
  }
  make("big", std::string(1000, 'b'));
  fs::create_hard_link(dir_ / "a/1", dir_ / "a/link");
  fs::create_symlink("nowhere", dir_ / "symlink");
  const auto outcome = back_up_as_user();
  EXPECT_FALSE(outcome.error);
  uint64_t entries = 1;  // the sandbox itself
  for (auto entry = fs::recursive_directory_iterator(dir_);
       entry != fs::recursive_directory_iterator(); ++entry) {
    ++entries;
    const auto name = entry->path().filename();
    if (name == "cache" || name == ".backup") entry.disable_recursion_pending();
  }
  EXPECT_EQ(sum(outcome), entries);
  EXPECT_EQ(outcome.total("stored"), 8U);
  EXPECT_EQ(outcome.total("excluded"), 4U);
  std::map<std::string, uint64_t> rules;
  for (const auto& rule : outcome.totals["excludedBy"]) rules[rule["rule"]] = rule["count"];
  EXPECT_EQ(rules, (std::map<std::string, uint64_t>{{"exclude 'cache'", 1},
                                                    {"exclude '*.tmp'", 2},
                                                    {"the service's own '.backup'", 1}}));
  EXPECT_EQ(
      outcome.contents(),
      (Contents{
          {"a/1", "a/1"}, {"a/2", "a/2"}, {"a/link", "a/1"}, {"big", std::string(1000, 'b')}}));
}

TEST_F(BackupTest, a_delay_passes_before_the_first_file_with_a_sign_of_life_each_second) {
  make("note", "note");
  for (const auto& [asked, seconds] :
       {std::pair(0, 0), std::pair(1800, 1800), std::pair(1801, 1800)}) {
    for (const bool is_incremental : {false, true}) {
      StillTime time([](auto) { return true; });
      std::vector<std::chrono::nanoseconds> arrivals;
      plan_.settings["options"] = {{"delayTime", asked}};
      plan_.time = time.link_time();
      plan_.arrived = [&](const std::string&) { arrivals.emplace_back(time.passed()); };
      const auto outcome = is_incremental ? back_up_again(nullptr) : back_up_as_user();
      EXPECT_FALSE(outcome.error);
      ASSERT_FALSE(arrivals.empty());
      EXPECT_EQ(arrivals.front(), std::chrono::seconds(seconds)) << asked;
      EXPECT_EQ(std::ranges::count(outcome.phases, "delay"), seconds) << asked;
      plan_.old_manifest.reset();
    }
  }
}

TEST_F(BackupTest, what_cannot_be_stored_is_named_and_the_rest_is_there) {
  make("closed/1", "");
  make("secret", "");
  make("read", "content");
  make_socket("socket");
  make("zzz", "deleted meanwhile");
  give(dir_ / "socket");
  ASSERT_EQ(::chmod((dir_ / "closed").c_str(), 0), 0);
  ASSERT_EQ(::chmod((dir_ / "secret").c_str(), 0), 0);
  // The second of them is sent when the first is settled.
  make("big1", std::string(1000, 'b'));
  make("big2", std::string(1000, 'b'));
  plan_.settings["packingLimit"] = 100;
  plan_.settings["name"] = "com.example.notes";
  plan_.arrived = [&](const std::string&) { fs::remove(dir_ / "zzz"); };
  auto outcome = back_up_as_user();
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, Code::kNotPermitted);
  EXPECT_EQ(outcome.error->context,
            "3 entries of 'com.example.notes' could not be stored: closed: EACCES; "
            "secret: EACCES; socket: socket");
  EXPECT_EQ(outcome.count["details"],
            nlohmann::json({"closed: EACCES", "secret: EACCES", "socket: socket"}));
  EXPECT_EQ(outcome.count["failedCount"], 3);
  EXPECT_EQ(outcome.total("unreadable"), 2U);
  EXPECT_EQ(outcome.total("unsupported"), 1U);
  EXPECT_EQ(outcome.contents().at("read"), "content");
  // A file that was there when its directory was read and is gone when its turn comes has vanished.
  EXPECT_EQ(outcome.total("vanished"), 1U);
  EXPECT_EQ(outcome.total("stored"), 4U);
  ASSERT_EQ(::chmod((dir_ / "closed").c_str(), 0700), 0);
}

TEST_F(BackupTest, a_path_too_long_for_the_manifest_is_named_and_the_rest_is_there) {
  std::ofstream(dir_ / "file") << "content";
  const std::string name(250, 'n');
  UniqueFd at(::open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (size_t length = 0; length < 70'000; length += name.size() + 1) {
    ASSERT_EQ(::mkdirat(at.get(), name.c_str(), 0700), 0);
    at = UniqueFd(::openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(at.is_open());
  }
  const UniqueFd file(::openat(at.get(), "deep", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_TRUE(file.is_open());
  plan_.old_manifest = "";
  const auto outcome = BackupRun::of(plan_);
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, Code::kInvalidArgument) << outcome.error->message();
  EXPECT_GT(outcome.total("unreadable"), 1U);
  EXPECT_EQ(outcome.contents().at("file"), "content");
  EXPECT_FALSE(outcome.rows.at("manage.json").empty());
  plan_.old_manifest.reset();
  const auto whole = BackupRun::of(plan_);
  EXPECT_FALSE(whole.error) << "a full one has no manifest";
}

TEST_F(BackupTest, a_socket_alone_ends_it_as_what_cannot_be_packed) {
  make_socket("socket");
  const auto outcome = back_up_as_user();
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, Code::kPackFailed);
}

TEST_F(BackupTest, of_many_unreadable_ones_the_first_hundred_are_named) {
  for (int i = 0; i < 120; ++i) {
    const auto name = "f" + std::to_string(1000 + i);
    make(name, "");
    ASSERT_EQ(::chmod((dir_ / name).c_str(), 0), 0);
  }
  const auto outcome = back_up_as_user();
  ASSERT_TRUE(outcome.error);
  EXPECT_NE(outcome.error->context.find("; f1099: EACCES; and 20 more"), std::string::npos)
      << outcome.error->context;
  EXPECT_EQ(outcome.count["details"].size(), 100U);
}

TEST_F(BackupTest, the_rows_of_what_can_no_longer_be_read_stay) {
  make("a/1", "1");
  make("a/b/2", "2");
  make("a/b/later-excluded", "");
  make("file", "3");
  make("other", "4");
  fs::create_hard_link(dir_ / "file", dir_ / "file2");
  fs::create_hard_link(dir_ / "other", dir_ / "a/other");
  const auto first = back_up_again(nullptr);
  ASSERT_FALSE(first.error);
  ASSERT_EQ(::chmod((dir_ / "a").c_str(), 0), 0);
  ASSERT_EQ(::chmod((dir_ / "file").c_str(), 0), 0);
  plan_.settings["excludes"] = {"later-excluded"};
  const auto second = back_up_again(&first);
  ASSERT_TRUE(second.error);
  EXPECT_EQ(second.total("unreadable"), 3U) << second.error->context;
  auto before = rows_of(first);
  const auto after = rows_of(second);
  for (const std::string path : {"a", "a/1", "a/b", "a/b/2", "a/other", "file", "file2"}) {
    ASSERT_TRUE(after.contains(path)) << path;
    EXPECT_EQ(after.at(path).in, before.at(path).in) << path;
    EXPECT_EQ(after.at(path).hash, before.at(path).hash) << path;
    EXPECT_FALSE(after.at(path).is_incremental) << path;
  }
  EXPECT_FALSE(after.contains("a/b/later-excluded"));
  const size_t again = 1;  // other, whose first name was not to be seen
  EXPECT_EQ(second.total("spaceOccupied"), first.total("spaceOccupied") + again);
  ASSERT_EQ(::chmod((dir_ / "a").c_str(), 0700), 0);
  ASSERT_EQ(::chmod((dir_ / "file").c_str(), 0600), 0);
  const auto third = back_up_again(&second);
  EXPECT_FALSE(third.error);
  before.erase("a/b/later-excluded");
  EXPECT_EQ(rows_of(third).size(), before.size());
}

TEST_F(BackupTest, a_link_is_not_kept_to_what_is_another_file_now) {
  make("a", "first");
  fs::create_hard_link(dir_ / "a", dir_ / "b");
  const auto first = back_up_again(nullptr);
  EXPECT_EQ(rows_of(first).at("b").target, "a");
  fs::remove(dir_ / "a");
  make("a", "another");
  ASSERT_EQ(::chmod((dir_ / "b").c_str(), 0), 0);
  const auto second = back_up_again(&first);
  EXPECT_EQ(second.total("unreadable"), 1U);
  EXPECT_FALSE(rows_of(second).contains("b"));
}

}  // namespace
}  // namespace backupkit
