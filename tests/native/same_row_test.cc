#include "native/manifest/same_row.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "native/manifest/change.h"
#include "native/manifest/manifest.h"
#include "tests/native/census.h"

namespace backupkit {
namespace {

using SameRowTest = Census;

ScanEntry entry(const std::string& path, uint32_t mode) {
  ScanEntry entry;
  entry.path = path;
  entry.mode = mode;
  entry.uid = 1000;
  entry.gid = 1001;
  entry.size = 42;
  entry.mtime = {1'700'000'000, 5};
  entry.ctime = {1'700'000'001, 999'999'999};
  entry.inode = 1234567;
  if (S_ISLNK(mode)) entry.link_target = "some/where";
  return entry;
}

std::string line_of(const ManifestRow& row) {
  std::string line;
  EXPECT_TRUE(append_row(row, line));
  line.pop_back();
  return line;
}

// As a backup that has stored the entry writes it.
ManifestRow stored(const ScanEntry& found) {
  ManifestRow row = row_of(found, {1'800'000'000, 0});
  row.in = "1_part.0.tar";
  row.is_incremental = true;
  if (S_ISREG(found.mode)) row.hash = "xxh3:0123456789abcdef0123456789abcdef";
  return row;
}

std::vector<ScanEntry> entries() {
  return {entry("a/file", 0100644), entry(".", 040755), entry("a/link", 0120777),
          entry("a/fifo", 010600), entry("device", 020666)};
}

TEST_F(SameRowTest, the_halves_are_the_line_but_for_what_is_incremental) {
  for (const auto& found : entries()) {
    ManifestRow row = stored(found);
    SameRow same;
    for (const bool is_incremental : {true, false}) {
      row.is_incremental = is_incremental;
      const std::string line = line_of(row);
      const auto halves = same.halves(line, found);
      ASSERT_TRUE(halves) << line;
      row.is_incremental = false;
      EXPECT_EQ(std::string(halves->before) + "0" + std::string(halves->after), line_of(row));
    }
  }
}

TEST_F(SameRowTest, digests_that_are_known_unknown_or_none_are_kept) {
  const auto found = entry("a", 0100644);
  for (const std::optional<std::string>& digest :
       {std::optional<std::string>(), std::optional<std::string>(""),
        std::optional<std::string>("xxh3:" + std::string(32, 'f'))}) {
    ManifestRow row = stored(found);
    row.xattrs = digest;
    row.holes = digest;
    EXPECT_TRUE(SameRow().halves(line_of(row), found));
  }
}

// Whatever is another byte: the row has to be one, and say the same, where its halves are given.
TEST_F(SameRowTest, a_line_that_is_no_row_or_another_ones_is_never_taken) {
  for (const auto& found : entries()) {
    const std::string line = line_of(stored(found));
    SameRow same;
    ASSERT_TRUE(same.halves(line, found));
    for (size_t at = 0; at < line.size(); ++at) {
      const bool has_all_columns = at > line.rfind(';');
      EXPECT_EQ(same.halves(line.substr(0, at), found).has_value(), has_all_columns) << at;
      for (const char other : {'0', '1', '9', 'a', 'f', 'x', ';', '-', '%', '/', ' '}) {
        std::string changed = line;
        changed[at] = other;
        if (!same.halves(changed, found)) continue;
        const auto row = read_row(changed, ManifestVersion::k2);
        ASSERT_TRUE(row) << changed;
        EXPECT_EQ(row->path, found.path) << changed;
        EXPECT_FALSE(row->in.empty()) << changed;
        EXPECT_EQ(change_of(*row, found), Change::kUnchanged) << changed;
      }
    }
    EXPECT_FALSE(same.halves(line + ";", found));
  }
}

TEST_F(SameRowTest, any_difference_of_the_entry_is_one) {
  const std::vector<std::function<void(ScanEntry&)>> changes{
      [](ScanEntry& now) { now.path += "x"; },
      [](ScanEntry& now) { now.mode ^= 0100U; },
      [](ScanEntry& now) { now.mode = 0140644; },
      [](ScanEntry& now) { ++now.uid; },
      [](ScanEntry& now) { ++now.gid; },
      [](ScanEntry& now) { ++now.size; },
      [](ScanEntry& now) { ++now.mtime.nanoseconds; },
      [](ScanEntry& now) { ++now.mtime.seconds; },
      [](ScanEntry& now) { --now.ctime.nanoseconds; },
      [](ScanEntry& now) { ++now.ctime.seconds; },
      [](ScanEntry& now) { ++now.inode; }};
  const auto found = entry("a", 0100644);
  const std::string line = line_of(stored(found));
  for (size_t i = 0; i < changes.size(); ++i) {
    auto now = found;
    changes[i](now);
    EXPECT_FALSE(SameRow().halves(line, now)) << i;
  }
  auto link = entry("a", 0120777);
  const std::string link_line = line_of(stored(link));
  link.link_target += "x";
  EXPECT_FALSE(SameRow().halves(link_line, link));
}

TEST_F(SameRowTest, what_proves_nothing_or_is_written_otherwise_is_left_to_others) {
  auto found = entry("a", 0100644);
  ManifestRow row = stored(found);
  row.in = "";
  EXPECT_FALSE(SameRow().halves(line_of(row), found)) << "no file of a backup has it";
  row = stored(found);
  row.type = EntryType::kHardLink;
  row.target = "b";
  EXPECT_FALSE(SameRow().halves(line_of(row), found));
  found.ctime = {};
  EXPECT_FALSE(SameRow().halves(line_of(stored(found)), found)) << "a time not to rely on";
  for (const std::string path : {"a;b", "a%41"}) {
    found = entry(path, 0100644);
    EXPECT_FALSE(SameRow().halves(line_of(stored(found)), found));
    auto link = entry("link", 0120777);
    link.link_target = path;
    EXPECT_FALSE(SameRow().halves(line_of(stored(link)), link));
  }
}

}  // namespace
}  // namespace backupkit
