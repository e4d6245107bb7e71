#include "native/manifest/change.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace backupkit {
namespace {

constexpr Timestamp kStart{2000, 500'000'000};
const std::string kHash = "xxh3:00112233445566778899aabbccddeeff";

ScanEntry entry(uint32_t mode = 0100644) {
  ScanEntry made;
  made.path = "a";
  made.mode = mode;
  made.uid = 1;
  made.gid = 2;
  made.size = 3;
  made.mtime = {1000, 7};
  made.ctime = {1001, 8};
  made.inode = 9;
  if ((mode & 0170000) == 0120000) made.link_target = "there";
  return made;
}

std::optional<ManifestRow> row(const ScanEntry& of) {
  ManifestRow made = row_of(of, kStart);
  if (made.type == EntryType::kFile) made.hash = kHash;
  return made;
}

const std::vector<uint32_t> kModes{0100644, 0040755, 0120777, 0010600, 0020600, 0060600};

TEST(Change, what_has_no_row_is_new) { EXPECT_EQ(change_of(std::nullopt, entry()), Change::kNew); }

TEST(Change, what_stayed_is_unchanged) {
  for (const uint32_t mode : kModes) {
    ScanEntry now = entry(mode);
    const auto old = row(now);
    now.atime = {5, 5};
    now.device = 77;
    EXPECT_EQ(change_of(old, now), Change::kUnchanged) << mode;
  }
  ScanEntry now = entry();
  auto further = row(now);
  further->type = EntryType::kHardLink;
  further->target = "0";
  EXPECT_EQ(change_of(further, now), Change::kUnchanged);
}

TEST(Change, another_type_is_a_change) {
  for (const uint32_t then : kModes) {
    for (const uint32_t now : kModes) {
      EXPECT_EQ(change_of(row(entry(then)), entry(now)) == Change::kChanged, then != now);
    }
  }
}

TEST(Change, another_size_or_inode_is_a_change_of_a_file) {
  const auto old = row(entry());
  ScanEntry now = entry();
  now.size = 4;
  EXPECT_EQ(change_of(old, now), Change::kChanged);
  now = entry();
  now.mode = 0100600;
  now.inode = 10;
  EXPECT_EQ(change_of(old, now), Change::kChanged);
}

TEST(Change, another_mode_or_owner_is_metadata_whatever_the_ctime) {
  for (const uint32_t mode : kModes) {
    for (const Timestamp ctime : {Timestamp{1001, 8}, Timestamp{1500, 0}}) {
      std::vector<ScanEntry> all(3, entry(mode));
      all[0].mode ^= 0002;
      all[1].uid = 5;
      all[2].gid = 5;
      for (ScanEntry& now : all) {
        now.ctime = ctime;
        EXPECT_EQ(change_of(row(entry(mode)), now), Change::kMetadata) << mode;
      }
    }
  }
}

TEST(Change, another_ctime_or_mtime_asks_for_the_hash_of_a_file) {
  for (const uint32_t mode : kModes) {
    std::vector<ScanEntry> all(3, entry(mode));
    all[0].ctime.nanoseconds = 9;
    all[1].mtime.nanoseconds = 8;
    all[2].mtime.nanoseconds = 8;
    all[2].mode ^= 0002;
    for (const ScanEntry& now : all) {
      EXPECT_EQ(change_of(row(entry(mode)), now),
                mode == 0100644 ? Change::kRehash : Change::kMetadata);
    }
  }
}

TEST(Change, without_a_hash_to_compare_with_it_is_a_change) {
  std::vector<ScanEntry> all(2, entry());
  all[0].ctime.nanoseconds = 9;
  all[1].mtime.nanoseconds = 8;
  auto old = row(entry());
  for (const std::string& hash : {std::string(), "sha256:" + std::string(64, '0')}) {
    old->hash = hash;
    for (const ScanEntry& now : all) EXPECT_EQ(change_of(old, now), Change::kChanged);
  }
}

TEST(Change, without_content_times_and_inode_are_metadata_and_size_is_nothing) {
  for (const uint32_t mode : kModes) {
    if (mode == 0100644) continue;
    ScanEntry now = entry(mode);
    now.size = 4096;
    EXPECT_EQ(change_of(row(entry(mode)), now), Change::kUnchanged);
    now.inode = 10;
    EXPECT_EQ(change_of(row(entry(mode)), now), Change::kMetadata);
    now = entry(mode);
    now.mtime.nanoseconds = 0;
    EXPECT_EQ(change_of(row(entry(mode)), now), Change::kMetadata);
  }
  ScanEntry link = entry(0120777);
  link.link_target = "elsewhere";
  EXPECT_EQ(change_of(row(entry(0120777)), link), Change::kChanged);
}

TEST(Change, of_version_1_only_directories_are_no_change) {
  for (const uint32_t mode : kModes) {
    ManifestRow old;
    old.path = "a";
    old.mode = mode;
    old.size = 3;
    old.mtime = {1000, 0};
    old.hash = "sha256:" + std::string(64, '0');
    ScanEntry now = entry(mode);
    now.mtime = old.mtime;
    const bool is_sent_whole = mode == 0100644 || mode == 0120777;
    EXPECT_EQ(change_of(old, now), is_sent_whole ? Change::kChanged : Change::kMetadata);
  }
}

TEST(Racy, is_what_is_as_young_as_the_scan_less_the_grain) {
  const auto racy = [](Timestamp mtime, Timestamp ctime, Timestamp start) {
    ScanEntry made = entry();
    made.mtime = mtime;
    made.ctime = ctime;
    return is_racy(made, start);
  };
  const Timestamp long_ago{1, 1};
  for (const Timestamp late :
       {Timestamp{2000, 490'000'000}, kStart, Timestamp{std::numeric_limits<int64_t>::max(), 1},
        Timestamp{2001, 0}, Timestamp{1999, 0}}) {
    EXPECT_TRUE(racy(late, long_ago, kStart)) << late.seconds;
    EXPECT_TRUE(racy(long_ago, late, kStart)) << late.seconds;
  }
  for (const Timestamp early :
       {Timestamp{2000, 489'999'999}, Timestamp{1999, 1}, Timestamp{1998, 0}, Timestamp{-1, 0}}) {
    EXPECT_FALSE(racy(early, early, kStart)) << early.seconds;
  }
  // The grain borrows from the seconds.
  EXPECT_TRUE(racy({1999, 999'999'999}, long_ago, {2000, 9'999'999}));
  EXPECT_FALSE(racy({1999, 999'999'998}, long_ago, {2000, 9'999'999}));
}

TEST(Racy, a_racy_row_has_no_ctime_and_is_hashed_next_time) {
  ScanEntry now = entry();
  now.ctime = kStart;
  const auto old = row(now);
  EXPECT_EQ(old->ctime, Timestamp{});
  EXPECT_EQ(change_of(old, now), Change::kRehash);
  ScanEntry epoch = entry();
  epoch.ctime = {};  // a clock that was never set proves nothing either
  EXPECT_EQ(change_of(row(epoch), epoch), Change::kRehash);
}

TEST(Row, has_what_the_walk_knows) {
  ManifestRow made = row_of(entry(0120777), kStart);
  ManifestRow expected;
  expected.path = "a";
  expected.mode = 0120777;
  expected.mtime = {1000, 7};
  expected.type = EntryType::kSymlink;
  expected.ctime = {1001, 8};
  expected.inode = 9;
  expected.uid = 1;
  expected.gid = 2;
  expected.target = "there";
  EXPECT_EQ(made, expected);
  EXPECT_EQ(row_of(entry(), kStart).size, 3U);
}

}  // namespace
}  // namespace backupkit
