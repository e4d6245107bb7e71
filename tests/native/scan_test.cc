#include "native/manifest/scan.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <compare>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "native/manifest/directory_names.h"
#include "tests/native/scan_run.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

TEST_F(Scan, visits_in_byte_order_a_directory_before_its_content) {
  for (const std::string path : {"b/x", "b.c", "b!", "B", "\xFF", "a/z/1", "a/y", "\xC3\xA4"}) {
    make(path);
  }
  EXPECT_EQ(walk(kEverything), (Paths{".", "B", "a", "a/y", "a/z", "a/z/1", "b", "b/x", "b!", "b.c",
                                      "\xC3\xA4", "\xFF"}));
}

TEST_F(Scan, gives_what_the_file_system_knows) {
  make("f", "12345");
  fs::create_symlink("nowhere", dir_ / "l");
  ASSERT_EQ(::mkfifo((dir_ / "p").c_str(), 0600), 0);
  fs::create_hard_link(dir_ / "f", dir_ / "g");
  ASSERT_EQ(::chmod((dir_ / "f").c_str(), 04751), 0);
  const timespec times[2] = {{1700000000, 7}, {-3, 999999999}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (dir_ / "f").c_str(), times, 0), 0);
  EXPECT_EQ(walk(kEverything), (Paths{".", "f", "g", "l", "p"}));
  const ScanEntry& file = entries_["f"];
  EXPECT_EQ(file.mode, static_cast<uint32_t>(S_IFREG | 04751));
  EXPECT_EQ(file.size, 5U);
  EXPECT_EQ(file.uid, ::geteuid());
  EXPECT_EQ(file.atime, (Timestamp{1700000000, 7}));
  EXPECT_EQ(file.mtime, (Timestamp{-3, 999999999}));
  EXPECT_EQ(file.links, 2U);
  EXPECT_EQ(file.inode, entries_["g"].inode);
  EXPECT_EQ(entries_["l"].link_target, "nowhere");
  EXPECT_TRUE(S_ISFIFO(entries_["p"].mode));
}

TEST_F(Scan, walks_the_way_a_manifest_is_sorted) {
  const Paths names{"a", "a!", "a.c", "a0", "b", "\xFF"};
  size_t made = 0;
  for (const std::string& top : names) {
    for (const std::string& middle : names) {
      for (const std::string& name : names) make(top + "/" + middle + "/" + name);
      made += 1 + names.size();
    }
    ++made;
  }
  EXPECT_EQ(walk(kEverything).size(), made + 1);  // walk() compares each with the one before
}

TEST_F(Scan, visits_directories_above_just_before_the_first_taken_entry) {
  for (const std::string path : {"a/b/c/1", "a/b/c/2", "a/b/d/3", "a/e/4", "q/b/none"}) make(path);
  EXPECT_EQ(walk(Rules::make({"/*/b/c"}, {})), (Paths{"a", "a/b", "a/b/c", "a/b/c/1", "a/b/c/2"}));
  EXPECT_EQ(walk(Rules::make({"4"}, {})), (Paths{"a", "a/e", "a/e/4"}));
  EXPECT_EQ(walk(Rules::make({"a/b"}, {"c"})), (Paths{"a", "a/b", "a/b/d", "a/b/d/3"}));
  EXPECT_EQ(ends_.at("a/b/c"), Fate::kExcluded);
  EXPECT_EQ(walk(Rules::make({"absent"}, {})), Paths{});
}

TEST_F(Scan, leaves_the_staging_directory_out) {
  make(".backup/x");
  make("a/.backup/x");
  EXPECT_EQ(walk(kEverything), (Paths{".", "a", "a/.backup", "a/.backup/x"}));
  EXPECT_EQ(ends_.at(".backup"), Fate::kExcluded);
}

TEST_F(Scan, does_not_follow_links) {
  make("d/f");
  fs::create_directory_symlink("d", dir_ / "l");
  EXPECT_EQ(walk(kEverything), (Paths{".", "d", "d/f", "l"}));
}

TEST_F(Scan, names_sockets_as_unsupported) {
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = (dir_ / "s").string();
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(walk(kEverything), (Paths{"."}));
  EXPECT_EQ(ends_.at("s"), Fate::kUnsupported);
}

TEST_F(Scan, goes_on_after_an_unreadable_directory) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  make("a/f");
  make("b");
  make("x/f");
  ASSERT_EQ(::chmod((dir_ / "a").c_str(), 0), 0);
  ASSERT_EQ(::chmod((dir_ / "x").c_str(), 0444), 0);  // its names can be read, nothing else
  EXPECT_EQ(walk(kEverything), (Paths{".", "b", "x"}));
  using Problems = std::vector<std::pair<std::string, int>>;
  EXPECT_EQ(problems_, (Problems{{"a", EACCES}, {"x/f", EACCES}}));
  ASSERT_EQ(::chmod((dir_ / "a").c_str(), 0700), 0);
  ASSERT_EQ(::chmod((dir_ / "x").c_str(), 0700), 0);
}

TEST_F(Scan, an_unreadable_directory_is_missed_behind_those_above_it) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  make("a/b/c/f");
  ASSERT_EQ(::chmod((dir_ / "a/b").c_str(), 0), 0);
  EXPECT_EQ(walk(Rules::make({"a/b/c"}, {})), Paths{"a"});
  EXPECT_EQ(ends_.at("a/b"), Fate::kUnreadable);
  ASSERT_EQ(::chmod((dir_ / "a/b").c_str(), 0700), 0);
}

TEST_F(Scan, says_what_vanishes) {
  make("a");
  make("b");
  make("c/d");
  const auto handlers = note([&](const ScanEntry& entry) -> Result<void> {
    if (entry.path == "a") {
      fs::remove(dir_ / "b");
      fs::remove_all(dir_ / "c");
    }
    return {};
  });
  ASSERT_TRUE(scan(root_.borrow(), kEverything, handlers));
  using Ends = std::map<std::string, Fate>;
  EXPECT_EQ(ends_, (Ends{{".", Fate::kStored},
                         {"a", Fate::kStored},
                         {"b", Fate::kVanished},
                         {"c", Fate::kVanished}}));
}

TEST_F(Scan, says_of_many_names_what_vanishes) {
  constexpr int kMany = 30'000;  // more than are in memory
  for (int i = 0; i < kMany; ++i) {
    const std::string name = "many names " + std::to_string(kMany + i);
    ASSERT_EQ(::mknodat(root_.get(), name.c_str(), S_IFREG | 0600, 0), 0);
  }
  const std::string first = "many names " + std::to_string(kMany);
  const std::string last = "many names " + std::to_string(2 * kMany - 1);
  const auto handlers = note([&](const ScanEntry& entry) -> Result<void> {
    if (entry.path == first) {
      fs::remove(dir_ / last);
      make("many names to come");
    }
    return {};
  });
  ASSERT_TRUE(scan(root_.borrow(), kEverything, handlers));
  EXPECT_EQ(ends_.size(), kMany + 1U);
  EXPECT_EQ(ends_.at(last), Fate::kVanished);
  EXPECT_EQ(count(Fate::kStored), static_cast<size_t>(kMany));
}

TEST_F(Scan, a_link_or_a_directory_in_the_place_of_another_kind_is_seen) {
  make("a");
  make("b");
  make("c/d");
  const auto handlers = note([&](const ScanEntry& entry) -> Result<void> {
    if (entry.path == "a") {
      fs::remove(dir_ / "b");
      make("b/in");
      fs::remove_all(dir_ / "c");
      fs::create_symlink("a", dir_ / "c");
    }
    return {};
  });
  ASSERT_TRUE(scan(root_.borrow(), kEverything, handlers));
  EXPECT_EQ(ends_.at("b/in"), Fate::kStored);
  EXPECT_EQ(ends_.at("c"), Fate::kStored);
  EXPECT_EQ(ends_.size(), 5U);
}

// Every name that the directories have, but below the excluded ones, ends somewhere.
TEST_F(Scan, every_entry_ends_once_and_names_its_rule) {
  for (const std::string path : {"keep/1", "keep/cache/2", "keep/x.tmp", "other/3", "deep/er/none",
                                 ".backup/4", "top", "cache"}) {
    make(path);
  }
  const Rules rules = Rules::make({"keep", "/deep/er/some"}, {"cache", "*.tmp"});
  EXPECT_EQ(walk(rules), (Paths{"keep", "keep/1"}));
  std::map<std::string, std::string> reasons;
  for (const auto& [path, rule] : rules_hit_) reasons[path] = rules.name_of(rule);
  using Reasons = std::map<std::string, std::string>;
  EXPECT_EQ(reasons, (Reasons{{"keep/cache", "exclude 'cache'"},
                              {"keep/x.tmp", "exclude '*.tmp'"},
                              {"other", "no include"},
                              {"other/3", "no include"},
                              {"deep", "no include"},
                              {"deep/er", "no include"},
                              {"deep/er/none", "no include"},
                              {".backup", "the service's own '.backup'"},
                              {"top", "no include"},
                              {"cache", "no include"}}));
}

TEST_F(Scan, names_without_a_kind_are_looked_at) {
  for (const std::string path : {"a/f", "b", "c/cache/g"}) make(path);
  fs::create_symlink("a", dir_ / "l");
  const Rules rules = Rules::make({"a", "l", "/c/d"}, {"cache"});
  const auto with_kinds = walk(rules);
  const auto ends = ends_;
  force_unknown_kinds(true);
  EXPECT_EQ(walk(rules), with_kinds);
  EXPECT_EQ(ends_, ends);
  force_unknown_kinds(false);
}

TEST_F(Scan, ends_with_the_error_of_the_visit) {
  make("a");
  const auto handlers =
      note([](const ScanEntry&) -> Result<void> { return failure(Code::kCancelled, "enough"); });
  const auto scanned = scan(root_.borrow(), kEverything, handlers);
  ASSERT_FALSE(scanned);
  EXPECT_EQ(scanned.error().code, Code::kCancelled);
}

class DeepScan : public Scan {
 protected:
  // `depth` directories named "d", in each a file "a" and one "z".
  void make_deep(size_t depth) const {
    UniqueFd at(::openat(root_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (size_t i = 0; i < depth; ++i) {
      for (const char* name : {"a", "z"}) {
        const UniqueFd file(::openat(at.get(), name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        ASSERT_TRUE(file.is_open());
      }
      ASSERT_EQ(::mkdirat(at.get(), "d", 0700), 0);
      at = UniqueFd(::openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      ASSERT_TRUE(at.is_open());
    }
  }
};

TEST_F(DeepScan, holds_few_descriptors_at_depth_1000) {
  make_deep(1000);
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
  const rlimit few{100, old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const Paths paths = walk(kEverything);
  // Only the deepest, so that every directory above waits for it.
  std::string deepest = "d";
  for (int i = 1; i < 999; ++i) deepest += "/d";
  const Paths lazy = walk(Rules::make({deepest + "/z"}, {}));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
  EXPECT_EQ(paths.size(), 3001U);
  EXPECT_EQ(paths.back(), "z");
  EXPECT_EQ(lazy.size(), 1000U);
  EXPECT_EQ(lazy.back(), deepest + "/z");
  EXPECT_EQ(count(Fate::kVanished), 0U);
}

TEST_F(Scan, a_name_that_comes_twice_is_one) {
  std::vector<DirectoryName> names{{"b", DT_REG}, {"a", DT_DIR}, {"b", DT_REG}, {"c", DT_REG}};
  settle_names(names);
  ASSERT_EQ(names.size(), 3U);
  EXPECT_EQ(names[0].text + names[1].text + names[2].text, "abc");
}

TEST_F(DeepScan, what_lies_above_a_moved_directory_is_not_taken_from_elsewhere) {
  make_deep(100);
  make("other/secret");
  const auto handlers = note([&](const ScanEntry& entry) -> Result<void> {
    if (entry.path.size() == 2 * 90 - 1 && entry.name == "d") {
      fs::rename(dir_ / "d/d/d", dir_ / "other/d");
    }
    EXPECT_EQ(entry.path.find("d/secret"), std::string::npos);
    return {};
  });
  const auto scanned = scan(root_.borrow(), kEverything, handlers);
  ASSERT_TRUE(scanned) << scanned.error().message();
  EXPECT_GT(count(Fate::kVanished), 0U);
}

}  // namespace
}  // namespace backupkit
