#include "native/manifest/manifest.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "native/manifest/manifest_reader.h"
#include "native/manifest/manifest_writer.h"
#include "tests/native/census.h"
#include "tests/native/manifest_files.h"

namespace backupkit {
namespace {

using Manifest = Census;
using Rows = std::vector<ManifestRow>;

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
const std::string kHash = "xxh3:00112233445566778899aabbccddeeff";
const std::string kXattrs = digest_of({{"user.b", "1"}, {"user.a", std::string("0\0;", 3)}});
const std::string kHoles = digest_of(std::vector<Extent>{{0, 4096}, {8192, 4096}});

std::string golden(const std::string& name) {
  std::ifstream file(BACKUPKIT_CONFORMANCE "/manifest/" + name, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Read {
  Rows rows;
  std::string error;  // what ended it
};

Read read_all(BorrowedFd file) {
  Read read;
  auto reader = ManifestReader::open(file);
  if (!reader) return {{}, reader.error().context};
  for (;;) {
    auto row = (*reader)->next();
    if (!row) {
      EXPECT_EQ(row.error().code, Code::kInvalidArgument);
      EXPECT_EQ((*reader)->next().error().context, row.error().context);
      return {std::move(read.rows), row.error().context};
    }
    if (!*row) return read;
    read.rows.push_back(std::move(**row));
  }
}

Read read_all(const std::string& text) { return read_all(file_of(text).borrow()); }

std::string complaint(const std::string& text) {
  const UniqueFd file = file_of(text);
  const auto checked = check_manifest(file.borrow());
  return checked ? "" : checked.error().context;
}

// A manifest whose end is right, whatever its rows are.
std::string sealed(const std::string& rows, size_t count) {
  const std::string text = std::string(kManifestHead) + rows;
  Hasher hasher;
  hasher.update(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  return text + "end;" + std::to_string(count) + ";" + hasher.finish().substr(5) + "\n";
}

ManifestRow row(std::string path, EntryType type, uint32_t mode, uint64_t inode) {
  ManifestRow made;
  made.path = std::move(path);
  made.type = type;
  made.mode = mode;
  made.inode = inode;
  return made;
}

Rows rows_of_all_types() {
  Rows rows{
      row(".", EntryType::kDirectory, 0040755, 2),     row("a", EntryType::kDirectory, 0040700, 3),
      row("a/f", EntryType::kFile, 0106751, 0),        row("a/h", EntryType::kHardLink, 0106751, 0),
      row("a.b", EntryType::kBlockDevice, 0060660, 5), row("c", EntryType::kCharDevice, 0020666, 6),
      row("f", EntryType::kFile, 0100600, 7),          row("l", EntryType::kSymlink, 0120777, 8),
      row("p", EntryType::kFifo, 0010600, 9)};
  rows[0].mtime = {1700000000, 7};
  rows[0].ctime = {1700000001, 500'000'000};
  rows[1].mtime = {-1, 999'999'999};
  rows[1].uid = rows[1].gid = 1000;
  rows[2].mtime = {1700000000, 0};
  rows[2].ctime = {1700000000, 1};
  rows[2].size = 5;
  rows[2].inode = std::numeric_limits<uint64_t>::max();
  rows[2].uid = 4294967294;
  rows[2].hash = kHash;
  rows[2].is_incremental = true;
  ManifestRow further = rows[2];
  further.path = "a/h";
  further.type = EntryType::kHardLink;
  further.target = "a/f";
  rows[3] = further;
  rows[4].gid = 6;
  rows[5].mtime = {0, 1};
  rows[5].ctime = {0, 999'999'999};
  rows[6].mtime = {kLeast, 0};
  rows[6].ctime = {kMost, 999'999'999};
  rows[6].size = kMost;
  for (int i = 0; i < 32; ++i) rows[6].hash += "0f";
  rows[6].hash = "sha256:" + rows[6].hash;
  rows[7].mtime = {-2, 999'999'999};
  rows[7].ctime = {-2, 1};
  rows[7].is_incremental = true;
  rows[7].target = "../there; 100%";
  rows[8].mtime = {5, 0};
  rows[8].ctime = {6, 0};
  rows[0].xattrs = kHash;
  rows[4].xattrs.reset();
  rows[6].xattrs = kXattrs;
  rows[2].holes.reset();
  rows[6].holes = kHoles;
  for (const size_t i : {1U, 2U, 3U, 4U, 5U}) rows[i].in = "part.0.tar";
  rows[6].in = "0123456789abcdef.mp4";
  rows[7].in = "1700000000000_part.12.tar";
  return rows;
}

Rows rows_of_naughty_names() {
  Rows rows;
  const std::vector<std::string> names{
      " lead", "100%", "Grüße", "a\nb", "a;b", "end", std::string(255, 'n'), "\xFF\xFE"};
  for (const std::string& name : names) {
    rows.push_back(row(name, EntryType::kFile, 0100644, rows.size() + 1));
  }
  return rows;
}

TEST_F(Manifest, golden) {
  const std::vector<std::pair<std::string, Rows>> all{{"empty.manifest", {}},
                                                      {"types.manifest", rows_of_all_types()},
                                                      {"names.manifest", rows_of_naughty_names()}};
  for (const auto& [name, rows] : all) {
    const std::string text = golden(name);
    EXPECT_EQ(text_of(manifest_file(rows).borrow()), text) << name;
    const Read read = read_all(text);
    EXPECT_EQ(read.error, "") << name;
    EXPECT_EQ(read.rows, rows) << name;
    EXPECT_EQ(check_manifest(file_of(text).borrow()).value().rows, rows.size());
  }
}

// The golden manifests of fewer columns are read, and the rows do not know what `forget` says.
void expect_fewer_columns(const std::string& suffix, ManifestVersion version,
                          const std::function<void(ManifestRow&)>& forget) {
  const std::vector<std::pair<std::string, Rows>> all{
      {"empty", {}}, {"types", rows_of_all_types()}, {"names", rows_of_naughty_names()}};
  for (const auto& [name, rows] : all) {
    Rows expected = rows;
    std::ranges::for_each(expected, forget);
    const std::string text = golden(name + suffix);
    const Read read = read_all(text);
    EXPECT_EQ(read.error, "") << name;
    EXPECT_EQ(read.rows, expected) << name;
    EXPECT_EQ(check_manifest(file_of(text).borrow()).value().version, version);
  }
}

TEST_F(Manifest, of_16_columns_is_read_and_does_not_know_xattrs_and_holes) {
  expect_fewer_columns("_16.manifest", ManifestVersion::k2Of16, [](ManifestRow& row) {
    row.xattrs.reset();
    row.holes.reset();
  });
}

TEST_F(Manifest, of_17_columns_is_read_and_does_not_know_holes) {
  expect_fewer_columns("_17.manifest", ManifestVersion::k2Of17,
                       [](ManifestRow& row) { row.holes.reset(); });
}

TEST_F(Manifest, every_name_comes_back) {
  Rows rows;
  for (unsigned byte = 1; byte < 256; ++byte) {
    if (byte == '/' || byte == '.') continue;
    rows.push_back(file_row(std::string(1, static_cast<char>(byte))));
    rows.push_back(row(rows.back().path + "/l", EntryType::kSymlink, 0120777, byte));
    rows.back().target = rows[rows.size() - 2].path;
  }
  const Read read = read_all(manifest_file(rows).borrow());
  EXPECT_EQ(read.error, "");
  EXPECT_EQ(read.rows, rows);
}

TEST_F(Manifest, every_time_comes_back) {
  for (const int64_t seconds : {kLeast, kLeast + 1, int64_t{-2}, int64_t{-1}, int64_t{0},
                                int64_t{1}, int64_t{9'999'999'999}, kMost}) {
    for (const uint32_t nanoseconds : {0U, 1U, 99'999'999U, 100'000'000U, 999'999'999U}) {
      ManifestRow timed = file_row("a");
      timed.mtime = timed.ctime = {seconds, nanoseconds};
      std::string line;
      ASSERT_TRUE(append_row(timed, line));
      line.pop_back();
      EXPECT_EQ(read_row(line, ManifestVersion::k2).value(), timed) << line;
    }
  }
}

TEST_F(Manifest, the_reader_neither_uses_nor_moves_the_position) {
  const UniqueFd file = manifest_file(rows_of_all_types());
  const auto end = ::lseek(file.get(), 0, SEEK_CUR);
  EXPECT_EQ(read_all(file.borrow()).rows.size(), 9U);
  EXPECT_EQ(::lseek(file.get(), 0, SEEK_CUR), end);
}

TEST_F(Manifest, every_truncation_and_flip_is_found) {
  for (const char* name : {"types.manifest", "names.manifest", "empty.manifest",
                           "types_16.manifest", "types_17.manifest"}) {
    const std::string text = golden(name);
    for (size_t cut = 0; cut < text.size(); ++cut) {
      EXPECT_NE(complaint(text.substr(0, cut)), "") << name << " cut at " << cut;
    }
    for (size_t at = 0; at < text.size(); ++at) {
      for (const unsigned mask : {1U, 2U, 4U, 8U, 16U, 32U, 64U, 128U, 255U}) {
        std::string flipped = text;
        flipped[at] = static_cast<char>(static_cast<unsigned char>(flipped[at]) ^ mask);
        EXPECT_NE(complaint(flipped), "") << name << " byte " << at << " mask " << mask;
      }
    }
  }
}

std::string line_of(const std::string& path) {
  std::string line;
  EXPECT_TRUE(append_row(file_row(path), line));
  return line;
}

TEST_F(Manifest, each_damage_has_words_of_its_own) {
  const std::string a = line_of("a");
  const std::string b = line_of("b");
  const std::string whole = sealed(a + b, 2);
  const std::string at = " of a manifest: ";
  EXPECT_EQ(complaint(whole), "");
  EXPECT_EQ(complaint(whole.substr(0, whole.find("end;"))), "line 5" + at + "torn: no end");
  EXPECT_EQ(complaint(whole.substr(0, whole.size() - 1)), "line 5" + at + "torn: no end");
  EXPECT_EQ(complaint(std::string(kManifestHead) + a.substr(0, 9)), "line 3" + at + "torn: no end");
  EXPECT_EQ(complaint(sealed(a + b, 3)), "line 5" + at + "the end counts other than 2 rows");
  EXPECT_EQ(complaint(whole.substr(0, whole.size() - 2) + "g\n"),
            "line 5" + at + "the hash is not that of the rows");
  EXPECT_EQ(complaint(whole + "\n"), "line 6" + at + "something behind the end");
  EXPECT_EQ(complaint(sealed(b + a, 2)), "line 4" + at + "a row out of order");
  EXPECT_EQ(complaint(sealed(a + a, 2)), "line 4" + at + "the same path twice");
  EXPECT_EQ(complaint(sealed(a + line_of("a/../b"), 2)),
            "line 4" + at + "a path that leads out of the sandbox");
  EXPECT_EQ(complaint(sealed(a + "b;1\n", 2)), "line 4" + at + "2 columns and not 18");
  EXPECT_EQ(complaint(sealed("b;33188;0;0;0;;0;0;f;0;0;0;0;0;;\n", 1)),
            "line 3" + at + "16 columns and not 18");
  EXPECT_EQ(complaint(""), "line 1" + at + "not the begin of a manifest of version 1 or 2");
  for (const std::string head :
       {"version=2.0&attrNum=16\n", "version=2.0&attrNum=17\n", "version=2.0&attrNum=18\n"}) {
    EXPECT_EQ(complaint(head + "x\n"), "line 2" + at + "not the names of the columns");
  }
}

TEST_F(Manifest, paths_that_lead_out_are_refused) {
  for (const std::string path : {"", "/", "/a", "..", "a/..", "a//b", "a/", "./a", "a/.", "../a"}) {
    EXPECT_NE(complaint(sealed(line_of(path), 1)), "") << path;
  }
  const std::string rest = ";33188;0;0;0;;0;1;f;0;0;0;0;0;;;;\n";
  for (const std::string path : {"%2E%2E/a", "%2Fa", "a%00b", "a%0", "a%g0", "a%"}) {
    EXPECT_NE(complaint(sealed(path + rest, 1)), "") << path;
  }
  EXPECT_NE(complaint(sealed(std::string(1, '\0') + rest, 1)), "");
  EXPECT_EQ(complaint(sealed(line_of("."), 1)), "");
}

// The row of a file with the cell of one column replaced.
std::string with_cell(size_t column, const std::string& cell) {
  std::vector<std::string> cells{"a",          "33188", "0", "1", "2", kHash, "0", "0", "f",
                                 "2000000003", "4",     "5", "6", "7", "uri", "",  "?", "?"};
  cells.at(column) = cell;
  std::string line;
  for (const std::string& each : cells) line += (line.empty() ? "" : ";") + each;
  return line;
}

TEST_F(Manifest, wrong_cells_are_refused_by_name) {
  ASSERT_TRUE(read_row(with_cell(0, "a"), ManifestVersion::k2));
  const std::vector<std::pair<std::string, std::vector<std::string>>> all{
      {"path", {}},
      {"mode", {"", "-1", "65536", "49645", "420", "0x1", " 1", "33188 ", "1e3", "+33188"}},
      {"dir", {"", "1", "2", "-0", "x"}},
      {"size", {"", "-1", "9223372036854775808", "18446744073709551616", "1.0"}},
      {"mtime", {"", "3", "9223372036854775808", "-9223372036854775809", "+2", "--2"}},
      {"hash",
       {"x", kHash + "0", kHash.substr(1), "xxh3:", "xxh4:" + kHash.substr(5),
        "xxh3:0011223344556677889 aabbccddeeff", "xxh3:00112233445566778899AABBCCDDEEFF",
        std::string(64, '0'), "sha256:" + std::string(63, '0')}},
      {"isIncremental", {"", "2", "-1", "true"}},
      {"encodeFlag", {"", "2"}},
      {"type", {"", "d", "l", "p", "c", "b", "s", "ff", "F"}},
      {"mtimeNs", {"", "2", "3000000000", "-2000000003", "-", "2 000000003", "x000000000"}},
      {"ctimeNs",
       {"", "-", "x", "+1", "9223372036854775808000000000", "1-00000000",
        "-9223372036854775808000000001", "99999999999999999999000000000"}},
      {"inode", {"", "-1", "18446744073709551616"}},
      {"uid", {"", "-1", "4294967296"}},
      {"gid", {"", "-1", "4294967296"}},
      {"in", {"a/b", "..", std::string(256, 'a'), "ä"}},
      {"target", {"a", "%", "%00"}},
      {"xattrs", {"0", "??", "xxh3:", kHash + "0", "sha256:" + std::string(64, '0')}},
      {"holes", {"0", "??", "xxh3:", kHash + "0", "sha256:" + std::string(64, '0')}}};
  for (size_t column = 0; column < all.size(); ++column) {
    for (const std::string& cell : all[column].second) {
      const auto read = read_row(with_cell(column, cell), ManifestVersion::k2);
      ASSERT_FALSE(read) << all[column].first << " " << cell;
      // The seconds are compared where the nanoseconds stand.
      const std::string name = column == 4 && cell == "3" ? "mtimeNs" : all[column].first;
      EXPECT_EQ(read.error().context, "a wrong " + name) << cell;
    }
  }
}

TEST_F(Manifest, a_target_goes_with_its_type) {
  const auto target = [](const std::string& mode, const std::string& type,
                         const std::string& text) {
    const std::string dir = type == "d" || mode == "16877" ? "1" : "0";
    return read_row("a;" + mode + ";" + dir + ";0;0;;0;0;" + type + ";0;0;0;0;0;;" + text + ";;",
                    ManifestVersion::k2)
        .has_value();
  };
  EXPECT_TRUE(target("41471", "l", "/any/../thing"));
  EXPECT_FALSE(target("41471", "l", ""));
  EXPECT_FALSE(target("41471", "l", std::string(1, '\0')));
  EXPECT_TRUE(target("41471", "h", "b"));
  EXPECT_TRUE(target("33188", "h", "b/c"));
  for (const std::string bad : {"", "/b", "../b", "."}) EXPECT_FALSE(target("33188", "h", bad));
  EXPECT_FALSE(target("16877", "h", "b"));
  EXPECT_TRUE(target("16877", "d", ""));
  EXPECT_FALSE(target("16877", "d", "b"));
}

TEST_F(Manifest, lines_of_64_KiB_are_written_and_read_and_no_longer_ones) {
  const size_t rest = line_of("").size();
  const std::string longest(kMaxManifestLine - rest, 'x');
  const UniqueFd file = memory_file();
  ManifestWriter writer(file.borrow());
  ASSERT_TRUE(writer.add(file_row(longest)));
  EXPECT_EQ(writer.add(file_row(longest + "x")).error().code, Code::kInvalidArgument);
  ASSERT_TRUE(writer.add(file_row("y")));
  ASSERT_TRUE(writer.finish());
  EXPECT_EQ(writer.rows(), 2U);
  EXPECT_EQ(read_all(file.borrow()).rows, (Rows{file_row(longest), file_row("y")}));
  EXPECT_EQ(complaint(sealed("x" + text_of(file.borrow()).substr(kManifestHead.size()), 2)),
            "line 3 of a manifest: a line of more than 65536 bytes");
}

TEST_F(Manifest, version_1_is_read) {
  for (const char* name : {"version1.manifest", "version1_crlf.manifest"}) {
    const Read read = read_all(golden(name));
    EXPECT_EQ(read.error, "");
    ASSERT_EQ(read.rows.size(), 5U);
    const std::string base = "data/storage/el2/base/files";
    ManifestRow file = row(base + "/a.txt", EntryType::kFile, 33184, 0);
    file.size = 12;
    file.mtime = {1700000000, 0};
    file.hash = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    file.is_incremental = true;
    file.xattrs.reset();
    file.holes.reset();
    EXPECT_EQ(read.rows[0], file);
    EXPECT_EQ(read.rows[1].type, EntryType::kDirectory);
    EXPECT_EQ(read.rows[2].path, base + "/x;y");
    EXPECT_EQ(read.rows[2].mtime.seconds, -3);
    EXPECT_EQ(read.rows[2].hash, file.hash);
    EXPECT_EQ(read.rows[3].type, EntryType::kSymlink);
    EXPECT_EQ(read.rows[4].path, file.path);
    const auto checked = check_manifest(file_of(golden(name)).borrow());
    EXPECT_EQ(checked.value().version, ManifestVersion::k1);
    EXPECT_EQ(checked.value().rows, 5U);
  }
}

TEST_F(Manifest, version_1_is_not_trusted_either) {
  const auto rows = [](const std::string& text) {
    return complaint(std::string(kManifestHead1) + text);
  };
  EXPECT_EQ(rows(""), "");
  EXPECT_EQ(rows("a;33188;0;0;0;;0;0"), "");
  EXPECT_EQ(rows("a;33188;0;0;0;;0;0\n\n"), "line 4 of a manifest: 1 columns and not 8");
  EXPECT_EQ(rows("a;33188;1;0;0;;0;0"), "line 3 of a manifest: a wrong dir");
  EXPECT_EQ(rows("a;0;0;0;0;;0;0"), "line 3 of a manifest: a wrong mode");
  EXPECT_EQ(rows("a;33188;0;0;0;" + kHash + ";0;0"), "line 3 of a manifest: a wrong hash");
  EXPECT_EQ(rows("//a;33188;0;0;0;;0;0"),
            "line 3 of a manifest: a path that leads out of the sandbox");
  const std::string text = golden("version1.manifest");
  for (size_t at = 0; at < text.size(); ++at) {
    (void)complaint(text.substr(0, at));  // either answer, but one
    for (const unsigned mask : {0x01U, 0x04U, 0x10U, 0x20U, 0x80U, 0xFFU}) {
      std::string flipped = text;
      flipped[at] = static_cast<char>(static_cast<unsigned char>(flipped[at]) ^ mask);
      (void)complaint(flipped);
    }
  }
}

TEST_F(Manifest, a_failed_write_stays) {
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  ManifestWriter writer(full.borrow());
  ASSERT_TRUE(writer.add(file_row("a")));
  EXPECT_EQ(writer.finish().error().sys_errno, ENOSPC);
  EXPECT_EQ(writer.add(file_row("b")).error().code, Code::kNoSpace);
  EXPECT_EQ(writer.finish().error().code, Code::kNoSpace);
}

using ManifestDeathTest = Manifest;

TEST_F(ManifestDeathTest, rows_out_of_order_abort) {
  const UniqueFd file = memory_file();
  ManifestWriter writer(file.borrow());
  ASSERT_TRUE(writer.add(file_row("a/b")));
  EXPECT_DEATH((void)writer.add(file_row("a/b")), "");
  EXPECT_DEATH((void)writer.add(file_row("a")), "");
  ASSERT_TRUE(writer.add(file_row("a.c")));
  ASSERT_TRUE(writer.finish());
  EXPECT_DEATH((void)writer.add(file_row("b")), "");
  EXPECT_DEATH((void)writer.finish(), "");
}

// The pages of this process that are in memory, in bytes.
size_t resident() {
  std::ifstream file("/proc/self/statm");
  size_t whole = 0;
  size_t pages = 0;
  file >> whole >> pages;
  return pages * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

TEST_F(Manifest, memory_is_flat) {
  const ScratchDirectory directory;  // not in memory: that would count
  const UniqueFd file = unnamed_file(directory.fd()).value();
#if defined(__SANITIZE_ADDRESS__) || defined(__has_feature)
  constexpr int kRows = 20'000;  // slow, and freed memory is kept: only the calls are tried
#else
  constexpr int kRows = 300'000;
#endif
  const size_t before = resident();
  ManifestWriter writer(file.borrow());
  ManifestRow each = file_row("");
  each.hash = kHash;
  for (int i = 0; i < kRows; ++i) {
    each.path = "data/storage/el2/base/files/" + std::to_string(1'000'000 + i);
    ASSERT_TRUE(writer.add(each));
  }
  ASSERT_TRUE(writer.finish());
  EXPECT_EQ(check_manifest(file.borrow()).value().rows, static_cast<uint64_t>(kRows));
  const size_t grown = resident() - std::min(before, resident());
  RecordProperty("resident_growth", std::to_string(grown));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__has_feature)
  EXPECT_LT(grown, size_t{4} << 20U);
#endif
}

}  // namespace
}  // namespace backupkit
