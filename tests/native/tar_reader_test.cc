#include "native/archive/tar_reader.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

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
  bytes += records + std::string(tar_padding(records.size()), '\0');
  EXPECT_TRUE(encode_header(entry_of("f"), bytes));
  return bytes + std::string(2 * kTarBlock, '\0');
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
        "10 path=/\n", "22 GNU.sparse.major=1\n"}) {
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
    std::string header;
    EXPECT_TRUE(encode_header(entry_of("f"), header));
    header.replace(offset, bytes.size(), bytes);
    unsigned sum = 8 * ' ';
    for (size_t i = 0; i < header.size(); ++i) {
      if (i < 148 || i >= 156) sum += static_cast<unsigned char>(header[i]);
    }
    std::array<char, 8> text;
    (void)std::snprintf(text.data(), text.size(), "%06o", sum);
    header.replace(148, 7, std::string(text.data(), 7));
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

TEST_F(TarReading, refuses_every_truncation) {
  const std::string bytes = pack({file("a", "content"), file(std::string(300, 'b'), "more")});
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto read = unpack(bytes.substr(0, size));
    ASSERT_FALSE(read) << size;
    EXPECT_EQ(read.error().code, Code::kUnpackFailed) << size;
  }
  // A file that is shorter than it was said to be.
  const UniqueFd in = memory(bytes.substr(0, 700));
  TarReader reader(in.borrow(), bytes.size());
  EXPECT_TRUE(reader.next());
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.next());
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

}  // namespace
}  // namespace backupkit
