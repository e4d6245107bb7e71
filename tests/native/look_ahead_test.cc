// A walk that other threads look ahead of.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "native/manifest/scan.h"
#include "tests/native/census.h"
#include "tests/native/tree.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

const Rules kRules = Rules::make({"*"}, {"excluded"});

class AheadOfTheWalk : public Census {
 protected:
  void make(const std::string& path) const {
    fs::create_directories((dir_ / path).parent_path());
    std::ofstream(dir_ / path) << path;
  }

  // Enough for a walk to be worth a thread, and then directories in turn.
  void SetUp() override {
    Census::SetUp();
    for (int i = 100; i < 200; ++i) make("a" + std::to_string(i));
    make("b");
    for (int i = 10; i < 50; ++i) {
      const std::string directory = "d" + std::to_string(i);
      for (int k = 0; k < 20; ++k) make(directory + "/" + std::to_string(k));
      make(directory + "/e/f/deep");
      make(directory + "/excluded/in");
      fs::create_symlink("nowhere", dir_ / directory / "link");
    }
  }

  // What each entry was, and where it ended, one line for each.
  std::vector<std::string> walk(size_t helpers,
                                const std::function<void(const ScanEntry&)>& visited) {
    std::vector<std::string> lines;
    ends_.clear();
    const auto visit = [&](const ScanEntry& found) -> Result<void> {
      EXPECT_EQ(::faccessat(found.parent.get(), ".", F_OK, 0), 0) << found.path;
      ends_[found.path] = Fate::kStored;
      lines.push_back(found.path + " " + std::to_string(found.inode) + " " +
                      std::to_string(found.size) + " " + std::to_string(found.ctime.nanoseconds) +
                      " " + std::to_string(found.mode) + " " + found.link_target);
      visited(found);
      return {};
    };
    const auto miss = [&](const Missed& missed) -> Result<void> {
      ends_[missed.path] = missed.fate;
      lines.push_back(missed.path + " is missed");
      return {};
    };
    EXPECT_TRUE(scan(top_.fd(), kRules, {visit, miss}, helpers));
    return lines;
  }

  ScratchDirectory top_{memory_directory()};
  fs::path dir_ = top_.path();
  std::map<std::string, Fate> ends_;
};

TEST_F(AheadOfTheWalk, the_walk_is_the_same) {
  for (int i = 0; i < 600; ++i) make("d20/more than are held/" + std::to_string(i));
  std::string deep = "d30";
  for (int i = 0; i < 80; ++i) deep += "/d";
  make(deep + "/file");
  const auto nothing = [](const ScanEntry&) {};
  const auto alone = walk(0, nothing);
  EXPECT_GT(alone.size(), 40U * 25U);
  for (const size_t helpers : {size_t{1}, size_t{3}}) EXPECT_EQ(walk(helpers, nothing), alone);
}

TEST_F(AheadOfTheWalk, what_takes_the_place_of_a_directory_is_seen) {
  walk(1, [&](const ScanEntry& found) {
    if (found.path != "b") return;  // the first directories were looked at
    fs::rename(dir_ / "d10", dir_ / "z");
    make("d10/new");
    fs::remove_all(dir_ / "d11");
    fs::remove_all(dir_ / "d12");
    make("d12");
    fs::remove_all(dir_ / "d13");
    fs::create_symlink("d14", dir_ / "d13");
  });
  EXPECT_EQ(ends_.at("d10/new"), Fate::kStored);
  EXPECT_FALSE(ends_.contains("d10/1"));
  EXPECT_EQ(ends_.at("d11"), Fate::kVanished);
  EXPECT_EQ(ends_.at("d12"), Fate::kStored);
  EXPECT_EQ(ends_.at("d13"), Fate::kStored);
  EXPECT_FALSE(ends_.contains("d13/1"));
  EXPECT_EQ(ends_.at("d14/1"), Fate::kStored);
}

TEST_F(AheadOfTheWalk, nothing_is_held_when_a_handler_ends_it) {
  const auto visit = [](const ScanEntry& found) -> Result<void> {
    return found.path == "d12/5" ? failure(Code::kClosed, "enough") : Result<void>{};
  };
  const auto miss = [](const Missed&) -> Result<void> { return {}; };
  const auto ended = scan(top_.fd(), kRules, {visit, miss}, 2);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, Code::kClosed);
}

}  // namespace
}  // namespace backupkit
