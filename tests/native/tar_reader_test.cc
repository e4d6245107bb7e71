#include "native/archive/tar_reader.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "native/archive/pax.h"
#include "native/archive/tar_encode.h"
#include "tests/native/census.h"
#include "tests/native/tar_files.h"

namespace backupkit {
namespace {

class TarReading : public Census {};

// The archive of one entry with these records before it.
std::string with_records(const std::string& records, char type = 'x') {
  Entry announced = entry_of("x");
  announced.size = records.size();
  std::string bytes;
  EXPECT_TRUE(encode_header(announced, bytes));
  bytes[156] = type;
  const auto old = static_cast<unsigned>(std::stoul(bytes.substr(148, 6), nullptr, 8));
  std::array<char, 8> sum;
  (void)std::snprintf(sum.data(), sum.size(), "%06o",
                      old + static_cast<unsigned char>(type) - static_cast<unsigned char>('0'));
  bytes.replace(148, 7, std::string(sum.data(), 7));
  bytes += records + padding_of(records);
  EXPECT_TRUE(encode_header(entry_of("f"), bytes));
  return bytes + std::string(2 * kTarBlock, '\0');
}

// The header of `entry` with `bytes` at `offset`, sealed anew; by the sum of signed bytes on
// demand.
std::string patched(const Entry& entry, size_t offset, const std::string& bytes,
                    bool as_signed = false) {
  std::string header;
  EXPECT_TRUE(encode_header(entry, header));
  header.replace(offset, bytes.size(), bytes);
  int sum = 8 * ' ';
  for (size_t i = 0; i < header.size(); ++i) {
    if (i >= 148 && i < 156) continue;
    sum += as_signed ? static_cast<signed char>(header[i]) : static_cast<unsigned char>(header[i]);
  }
  std::array<char, 16> text;
  (void)std::snprintf(text.data(), text.size(), "%06o", static_cast<unsigned>(sum));
  return header.replace(148, 7, std::string(text.data(), 7));
}

TEST_F(TarReading, applies_records) {
  EXPECT_EQ(unpack(with_records("9 path=a\n")).value().at(0).entry.path, "a");
  EXPECT_EQ(unpack(with_records("9 path=a\n", 'g')).value().at(0).entry.path, "a");
  EXPECT_EQ(unpack(with_records("9 path=a\n9 path=b\n")).value().at(0).entry.path, "b");
  EXPECT_EQ(unpack(with_records("9 path=a\n8 path=\n")).value().at(0).entry.path, "f");
  EXPECT_EQ(unpack(with_records("18 unknown.key=ab\n")).value().at(0).entry.path, "f");
  const Timestamp time =
      unpack(with_records("22 mtime=-1.1234567899\n")).has_value() ? Timestamp{} : Timestamp{1, 0};
  EXPECT_EQ(time.seconds, 1) << "a record whose length is wrong";
  EXPECT_EQ(unpack(with_records("23 mtime=-1.1234567899\n")).value().at(0).entry.mtime,
            (Timestamp{-2, 876543211}));
}

TEST_F(TarReading, refuses_bad_records) {
  for (const std::string records :
       {"9 path=a", "8 path=a\n", "11 path=a\n", "path=a\n", " 9 path=a\n", "0 path=a\n", "3 \n",
        "5 ab\n", "5 =a\n", "99999999999999999999 path=a\n", "10 size=a\n", "11 size=-1\n",
        "30 size=18446744073709551615\n", "11 mtime=x\n", "32 mtime=99999999999999999999.0\n",
        "10 path=/\n", "22 GNU.sparse.major=1\n", "22 GNU.sparse.major=2\n",

        "19 GNU.sparse.map=1\n"}) {
    const auto read = unpack(with_records(records));
    ASSERT_FALSE(read) << records;
    EXPECT_EQ(read.error().code, Code::kUnpackFailed);
    EXPECT_NE(read.error().message().find("byte "), std::string::npos);
  }
  EXPECT_FALSE(unpack(with_records(std::string("11 path=a\0b\n", 12))));
  EXPECT_FALSE(unpack(with_records(std::string(kMaxPaxRecords + 1, 'x'))));
}

TEST_F(TarReading, reads_binary_numbers_within_64_bits) {
  // Of the field at `offset` in a header: decode_header's answer when it is `bytes`.
  const auto decode = [](size_t offset, const std::string& bytes) {
    const std::string header = patched(entry_of("f"), offset, bytes);
    return decode_header(std::span<const uint8_t, kTarBlock>(
        reinterpret_cast<const uint8_t*>(header.data()), kTarBlock));
  };
  const std::string ones(11, '\xFF');
  EXPECT_EQ(decode(136, "\xFF" + ones).value().entry.mtime.seconds, -1);
  EXPECT_FALSE(decode(124, "\xFF" + ones));  // a negative size
  EXPECT_EQ(
      decode(124, std::string("\x80\0\0\0\x7F", 5) + std::string(7, '\xFF')).value().entry.size,
      static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
  EXPECT_FALSE(decode(124, std::string("\x80\0\0\0\x80", 5) + std::string(7, '\0')));
  EXPECT_FALSE(decode(124, "\xBF" + ones));
  EXPECT_EQ(decode(108, std::string("\x80\0\0\0\xFF\xFF\xFF\xFE", 8)).value().entry.uid,
            4294967294U);
  EXPECT_FALSE(decode(124, "0000000000x"));
}

TEST_F(TarReading, refuses_other_formats) {
  for (const std::string& bytes :
       {std::string(), std::string(511, '\0'), std::string(512, '\0'), std::string(2048, 'a'),
        std::string(512, '\0') + std::string(512, 'a')}) {
    const auto read = unpack(bytes);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Code::kUnpackFailed);
  }
  EXPECT_TRUE(unpack(std::string(1024, '\0')).value().empty());
}

TEST_F(TarReading, refuses_every_truncation_but_one_between_two_entries) {
  const std::vector<Member> members{file("a", "content"), file(std::string(300, 'b'), "more")};
  const std::string bytes = pack(members);
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto read = unpack(bytes.substr(0, size));
    const bool is_between = size == 2 * kTarBlock || size + 2 * kTarBlock == bytes.size();
    const bool is_half_an_end =
        size + 2 * kTarBlock > bytes.size() && size + kTarBlock >= bytes.size();
    ASSERT_EQ(read.has_value(), is_between || is_half_an_end) << size;
    if (!read) {
      EXPECT_EQ(read.error().code, Code::kUnpackFailed) << size;
    }
  }
  // A file that is shorter than it was said to be.
  const UniqueFd in = memory(bytes.substr(0, 700));
  TarReader reader(in.borrow(), bytes.size());
  EXPECT_TRUE(reader.next());
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.next());
}

TEST_F(TarReading, says_whether_the_archive_had_its_end) {
  const std::string bytes = pack({file("a", "content")});
  for (const size_t missing : {size_t{0}, kTarBlock, 2 * kTarBlock}) {
    const UniqueFd in = memory(bytes);
    TarReader reader(in.borrow(), bytes.size() - missing);
    ASSERT_TRUE(reader.next().value());
    EXPECT_FALSE(reader.has_end());
    ASSERT_FALSE(reader.next().value());
    EXPECT_EQ(reader.has_end(), missing == 0);
  }
  const std::string more = bytes.substr(0, bytes.size() - kTarBlock) + std::string(512, 'a');
  EXPECT_EQ(unpack(more).value().size(), 1U) << "one block of zeros ends it, too";
}

TEST_F(TarReading, says_whether_something_follows_the_end) {
  const std::string one = pack({file("a", "content")});
  for (const std::string& more : {std::string(), std::string(9 * kTarBlock, '\0'), one,
                                  std::string(9 * kTarBlock, '\0') + "x"}) {
    const UniqueFd in = memory(one + more);
    TarReader reader(in.borrow(), one.size() + more.size());
    ASSERT_TRUE(reader.next().value());
    ASSERT_FALSE(reader.next().value());
    const auto checked = reader.check_rest();
    EXPECT_EQ(checked.has_value(), more.find_first_not_of('\0') == std::string::npos);
    if (checked) continue;
    EXPECT_EQ(checked.error().code, Code::kUnpackFailed);
    const auto at = one.size() + (more == one ? 0 : more.size() - 1);
    EXPECT_TRUE(checked.error().message().find("byte " + std::to_string(at) + " of") !=
                std::string::npos)
        << checked.error().message();
  }
}

TEST_F(TarReading, takes_a_path_below_the_directory_itself) {
  const auto path_of = [](const std::string& path, EntryType type) {
    return unpack(patched(entry_of("f", type, "././/a"), 0, path)).value().at(0).entry;
  };
  for (const char* path : {"./f", ".//f", "././f", "./././/f"}) {
    EXPECT_EQ(path_of(path, EntryType::kFile).path, "f");
  }
  EXPECT_EQ(path_of("./", EntryType::kDirectory).path, ".");
  EXPECT_EQ(path_of("./.", EntryType::kDirectory).path, ".");
  EXPECT_EQ(path_of("./.f", EntryType::kDirectory).path, ".f");
  EXPECT_EQ(path_of("./..", EntryType::kDirectory).path, "..");
  EXPECT_EQ(path_of("./f", EntryType::kHardLink).link_target, "a");
  EXPECT_EQ(path_of("./f", EntryType::kSymlink).link_target, "././/a");
}

TEST_F(TarReading, takes_a_checksum_of_signed_bytes) {
  const std::string header = patched(entry_of("\xFF\xFE"), 156, "0", true);
  EXPECT_EQ(unpack(header).value().at(0).entry.path, "\xFF\xFE");
}

TEST_F(TarReading, takes_old_names_for_a_file_and_a_directory) {
  for (const std::string& type : {std::string(1, '\0'), std::string("7"), std::string("0")}) {
    EXPECT_EQ(unpack(patched(entry_of("f"), 156, type)).value().at(0).entry.type, EntryType::kFile);
    const auto directory = unpack(patched(entry_of("f"), 156, type).replace(0, 2, "f/"));
    EXPECT_FALSE(directory) << "the checksum";
    Entry entry = entry_of("dx");
    const auto old = unpack(patched(entry, 1, "/")).value().at(0).entry;
    EXPECT_EQ(old.type, EntryType::kDirectory);
    EXPECT_EQ(old.path, "d");
  }
}

TEST_F(TarReading, passes_over_the_prefix_of_what_is_not_posix) {
  const std::string prefix("atime and others");
  EXPECT_EQ(unpack(patched(entry_of("f"), 345, prefix)).value().at(0).entry.path, prefix + "/f");
  Entry entry = entry_of("f");
  std::string old = patched(entry, 345, prefix);
  for (const std::string& magic : {std::string("ustar  \0", 8), std::string(8, '\0')}) {
    std::string header;
    ASSERT_TRUE(encode_header(entry, header));
    header.replace(345, prefix.size(), prefix);
    std::string sealed = patched(entry, 257, magic + std::string(80, '\0') + prefix);
    EXPECT_EQ(unpack(sealed).value().at(0).entry.path, "f");
  }
}

TEST_F(TarReading, a_hard_link_has_content_in_pax_only) {
  const Entry link = entry_of("l", EntryType::kHardLink, "f");
  const std::string body = "hello" + std::string(507, '\0');
  const std::string header = patched(link, 124, "00000000005");
  EXPECT_EQ(unpack(header + pack({})).value().at(0).entry.size, 0U);
  std::string pax = with_records("9 path=x\n");
  pax.resize(2 * kTarBlock);
  const auto members = unpack(pax + header + body + pack({file("after", "a")})).value();
  ASSERT_EQ(members.size(), 2U);
  EXPECT_EQ(members[0].entry.path, "x");
  EXPECT_EQ(members[0].entry.link_target, "f");
  EXPECT_EQ(members[0].content, "hello");
}

// A long name or target for the next entry.
std::string announced(char type, const std::string& text) {
  Entry entry = entry_of("././@LongLink");
  entry.size = text.size();
  return patched(entry, 156, std::string(1, type)) + text + padding_of(text);
}

TEST_F(TarReading, long_names_are_for_the_next_entry_alone) {
  const std::string path(300, 'p');
  const std::string target(400, 't');
  const auto members =
      unpack(announced('K', target + '\0') + announced('L', path + '\0') +
             patched(entry_of("l", EntryType::kSymlink, "x"), 0, "l") + pack({file("after", "a")}))
          .value();
  ASSERT_EQ(members.size(), 2U);
  EXPECT_EQ(members[0].entry.path, path);
  EXPECT_EQ(members[0].entry.link_target, target);
  EXPECT_EQ(members[1].entry.path, "after");
  EXPECT_FALSE(unpack(announced('L', path + '\0') + pack({})));
  EXPECT_FALSE(unpack(announced('L', std::string(kMaxTarPath + 2, 'p')) + pack({file("f", "")})));
}

TEST_F(TarReading, refuses_types_whose_content_could_mean_anything) {
  for (const char type : {'M', 'N', 'A', 'E', 'I', 'z', '8'}) {
    const auto read = unpack(patched(entry_of("f"), 156, std::string(1, type)));
    ASSERT_FALSE(read) << type;
    EXPECT_EQ(read.error().code, Code::kUnpackFailed);
  }
  EXPECT_FALSE(unpack(patched(entry_of("f"), 156, "S"))) << "only GNU's form is known";
}

TEST_F(TarReading, refuses_an_owner_past_32_bits) {
  EXPECT_TRUE(unpack(with_records("18 uid=4294967295\n")));
  EXPECT_FALSE(unpack(with_records("18 uid=4294967296\n")));
  EXPECT_FALSE(unpack(with_records("18 gid=4294967296\n")));
}

using Record = std::pair<const char*, const char*>;

// What one entry with these records has for attributes.
Result<Xattrs> xattrs_of(const std::vector<Record>& records) {
  std::string text;
  for (const auto& [key, value] : records) append_record(text, key, value);
  auto members = unpack(with_records(text));
  if (!members) return failure(members.error());
  return members->at(0).entry.xattrs;
}

TEST_F(TarReading, takes_attributes_in_every_form) {
  EXPECT_EQ(xattrs_of({{"SCHILY.xattr.user.a", "b=c"}}).value(), (Xattrs{{"user.a", "b=c"}}));
  EXPECT_EQ(xattrs_of({{"SCHILY.xattr.user.a", ""}}).value(), (Xattrs{{"user.a", ""}}));
  EXPECT_EQ(xattrs_of({{"SCHILY.xattr.user.%25%3D", "b"}}).value(), (Xattrs{{"user.%=", "b"}}));
  EXPECT_EQ(xattrs_of({{"SCHILY.xattr.user.a%", "b"}}).value(), (Xattrs{{"user.a%", "b"}}));
  EXPECT_EQ(xattrs_of({{"LIBARCHIVE.xattr.user.a", "Yg"}}).value(), (Xattrs{{"user.a", "b"}}));
  const std::array<Record, 2> both{
      {{"LIBARCHIVE.xattr.user.a", "Yg"}, {"SCHILY.xattr.user.a", "c"}}};
  EXPECT_EQ(xattrs_of({both[0], both[1]}).value(), (Xattrs{{"user.a", "c"}}));
  const char* acl = "user::rw-,group::r--,other::r--";
  EXPECT_EQ(xattrs_of({{"SCHILY.acl.access", acl}}).value().at("system.posix_acl_access").size(),
            28U);
  EXPECT_EQ(xattrs_of({{"SCHILY.acl.default", acl}, {"SCHILY.xattr.system.posix_acl_default", "b"}})
                .value(),
            (Xattrs{{"system.posix_acl_default", "b"}}));
}

TEST_F(TarReading, refuses_what_is_no_attribute) {
  EXPECT_FALSE(xattrs_of({{"LIBARCHIVE.xattr.user.a", "Y!"}}));
  EXPECT_FALSE(xattrs_of({{"SCHILY.xattr.", "a"}}));
  EXPECT_FALSE(xattrs_of({{"SCHILY.acl.access", "user:somebody:rwx"}}));
  const std::string value(kMaxXattrValue + 1, 'v');
  EXPECT_FALSE(xattrs_of({{"SCHILY.xattr.user.a", value.c_str()}}));
}

// Each entry pays for them.
TEST_F(TarReading, holds_few_records_that_are_for_all_entries) {
  std::string records;
  for (int i = 1000; records.size() < 64U << 10U; ++i) {
    records += "26 SCHILY.xattr.user." + std::to_string(i % 1000 + 1000).substr(1) + "=\n";
  }
  EXPECT_TRUE(unpack(with_records(records))) << "for one";
  EXPECT_FALSE(unpack(with_records(records, 'g')));
}

TEST_F(TarReading, holds_no_more_records_than_the_limit) {
  const std::string value(1'000'000, 'v');
  std::string archive;
  for (int i = 0; i < 5; ++i) {
    const std::string record = "1000027 SCHILY.xattr.a" + std::to_string(i) + "=" + value + "\n";
    archive +=
        with_records(record, 'g').substr(0, kTarBlock + record.size() + padding_of(record).size());
  }
  EXPECT_FALSE(unpack(archive + pack({file("f", "")})));
}

TEST_F(TarReading, takes_paths_of_1_MiB_and_no_longer_ones) {
  const std::string longest(kMaxTarPath, 'p');
  const auto members = unpack(announced('L', longest + '\0') + pack({file("f", "")}));
  ASSERT_TRUE(members) << members.error().message();
  EXPECT_EQ(members->at(0).entry.path, longest);
  EXPECT_FALSE(unpack(announced('L', longest + "p") + pack({file("f", "")})));
}

TEST_F(TarReading, takes_records_of_4_MiB_for_one_entry_and_of_16_KiB_for_all) {
  for (const auto& [type, most] : {std::pair('x', kMaxPaxRecords), {'g', kMaxGlobalRecords}}) {
    for (const size_t size : {most, most + 1}) {
      const auto head = std::to_string(size) + " comment=";
      const auto record = head + std::string(size - head.size() - 1, 'c') + "\n";
      EXPECT_EQ(unpack(with_records(record, type)).has_value(), size == most) << size;
    }
  }
}

TEST_F(TarReading, survives_every_flip) {
  const std::string bytes = pack({file("a", "content"),
                                  file(std::string(300, 'b'), "more"),
                                  {entry_of("l", EntryType::kSymlink, "a"), ""}});
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const unsigned mask : {0x01U, 0x08U, 0x10U, 0x80U, 0xFFU}) {
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(static_cast<unsigned char>(flipped[at]) ^ mask);
      const auto read = unpack(flipped);
      if (!read) {
        EXPECT_EQ(read.error().code, Code::kUnpackFailed) << at;
      } else {
        EXPECT_EQ(read->size(), 3U) << at;
      }
    }
  }
}

TEST_F(TarReading, may_skip_content_and_copy_twice) {
  const std::string bytes = pack({file("a", std::string(700'000, 'a')), file("b", "bb")});
  const UniqueFd in = memory(bytes);
  TarReader reader(in.borrow(), bytes.size());
  EXPECT_FALSE(reader.content_offset());
  ASSERT_TRUE(reader.next().value().has_value());
  EXPECT_EQ(reader.content_offset().value(), kTarBlock);
  ASSERT_TRUE(reader.next().value().has_value());
  const UniqueFd out = memory();
  ASSERT_TRUE(reader.copy_content(out.borrow()));
  ASSERT_TRUE(reader.copy_content(out.borrow()));
  EXPECT_EQ(contents(out.borrow()), "bbbb");
  EXPECT_FALSE(reader.next().value().has_value());
  EXPECT_FALSE(reader.next().value().has_value());
  EXPECT_FALSE(reader.copy_content(out.borrow()));
}

TEST_F(TarReading, what_is_kept_outlives_the_reader) {
  const std::string bytes = pack({file("a", "aaaa"), file("large", std::string(300'000, 'l')),
                                  file("b", std::string(9000, 'b')), file("empty", "")});
  const UniqueFd in = memory(bytes);
  std::vector<SharedBytes> kept;
  {
    TarReader reader(in.borrow(), bytes.size());
    EXPECT_FALSE(reader.keep_content());
    while (reader.next().value()) kept.push_back(reader.keep_content().value());
  }
  ASSERT_EQ(kept.size(), 4U);
  EXPECT_EQ(std::string(kept[0].bytes.begin(), kept[0].bytes.end()), "aaaa");
  EXPECT_FALSE(kept[1].keeper) << "too large to be held in memory";
  EXPECT_EQ(std::string(kept[2].bytes.begin(), kept[2].bytes.end()), std::string(9000, 'b'));
  EXPECT_FALSE(kept[3].keeper);
}

TEST_F(TarReading, keeps_no_more_than_is_said) {
  std::vector<Member> members;
  for (int i = 0; i < 200; ++i)
    members.push_back(file(std::to_string(i), std::string(60'000, 'x')));
  const std::string bytes = pack(members);
  const UniqueFd in = memory(bytes);
  TarReader reader(in.borrow(), bytes.size());
  std::vector<SharedBytes> kept;
  while (reader.next().value()) {
    if (auto content = reader.keep_content().value(); content.keeper) kept.push_back(content);
  }
  EXPECT_GE(kept.size(), 40U);
  EXPECT_LE(kept.size(), 17 * (TarInput::kWindow / 60'000));
  kept.clear();
  TarReader again(in.borrow(), bytes.size());
  uint64_t given = 0;
  while (again.next().value()) given += again.keep_content().value().keeper ? 1U : 0U;
  EXPECT_EQ(given, members.size()) << "those that are given back can be given again";
}

TEST_F(TarReading, the_hash_is_that_of_every_byte_whatever_was_looked_at) {
  const std::string bytes = pack({file("a", std::string(700'000, 'a')), file("b", "bb")}) + "rest";
  const UniqueFd in = memory(bytes);
  for (const size_t steps : {0U, 1U, 2U, 3U}) {
    TarReader reader(in.borrow(), bytes.size(), Hashing::kYes);
    for (size_t i = 0; i < steps; ++i) ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.hash().value(), hash_of(bytes)) << steps;
  }
}

}  // namespace
}  // namespace backupkit
