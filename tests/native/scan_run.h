// Walks of a directory that a test has made.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "native/manifest/moved_scan.h"
#include "native/manifest/scan.h"
#include "native/manifest/walk_order.h"
#include "tests/native/census.h"

namespace backupkit {

class Scan : public Census {
 protected:
  void SetUp() override {
    Census::SetUp();
    std::string name = (std::filesystem::temp_directory_path() / "scan_test.XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    root_.reset(::open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  void TearDown() override {
    root_.reset();
    std::filesystem::remove_all(dir_);
    Census::TearDown();
  }

  void make(const std::string& path, const std::string& content = "") const {
    std::filesystem::create_directories((dir_ / path).parent_path());
    std::ofstream(dir_ / path) << content;
  }

  // Handlers that note where each entry ends; `visit` is asked besides.
  ScanHandlers note(std::function<Result<void>(const ScanEntry&)> visit) {
    ends_.clear();
    rules_hit_.clear();
    problems_.clear();
    return {.visit =
                [this, visit](const ScanEntry& entry) {
                  EXPECT_TRUE(ends_.emplace(entry.path, Fate::kStored).second) << entry.path;
                  return visit(entry);
                },
            .miss = [this](const Missed& missed) -> Result<void> {
              EXPECT_TRUE(ends_.emplace(missed.path, missed.fate).second) << missed.path;
              if (missed.fate == Fate::kExcluded) rules_hit_[missed.path] = missed.rule;
              if (missed.fate == Fate::kUnreadable) {
                problems_.push_back({missed.path, missed.sys_errno});
              }
              return {};
            }};
  }

  // The paths in the order of their visits; each entry is kept in entries_.
  std::vector<std::string> walk(const Rules& rules, const Moves& moves = {}) {
    std::vector<std::string> paths;
    const auto handlers = note([&](const ScanEntry& entry) -> Result<void> {
      paths.push_back(entry.path);
      entries_[entry.path] = entry;
      struct stat status{};
      EXPECT_EQ(::fstatat(entry.parent.get(), entry.name.c_str(), &status, AT_SYMLINK_NOFOLLOW), 0)
          << entry.path;
      EXPECT_EQ(status.st_ino, entry.inode) << entry.path;
      return {};
    });
    const auto scanned = scan_moved(root_.borrow(), rules, moves, handlers);
    EXPECT_TRUE(scanned) << scanned.error().message();
    EXPECT_EQ(count(Fate::kStored), paths.size());
    for (size_t i = 1; i < paths.size(); ++i) {
      EXPECT_EQ(walk_order(paths[i - 1], paths[i]), std::strong_ordering::less) << paths[i];
    }
    return paths;
  }

  [[nodiscard]] size_t count(Fate fate) const {
    return static_cast<size_t>(
        std::ranges::count_if(ends_, [&](const auto& end) { return end.second == fate; }));
  }

  std::filesystem::path dir_;
  UniqueFd root_;
  std::map<std::string, Fate> ends_;
  std::map<std::string, Rules::Judgement> rules_hit_;
  std::vector<std::pair<std::string, int>> problems_;
  std::map<std::string, ScanEntry> entries_;
};

using Paths = std::vector<std::string>;

inline const Rules kEverything = Rules::make({"*"}, {});

}  // namespace backupkit
