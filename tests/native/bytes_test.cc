#include "native/base/bytes.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/native/census.h"

namespace backupkit {
namespace {

using BytesTest = Census;

ByteWriter sample() {
  ByteWriter writer;
  writer.put<uint8_t>(0xfe);
  writer.put<uint16_t>(0x1234);
  writer.put<int32_t>(-2);
  writer.put<uint64_t>(std::numeric_limits<uint64_t>::max() - 1);
  writer.put_text(std::string_view("a\0\xff", 3));
  writer.put_bytes(Bytes{9, 8});
  return writer;
}

// Reads what sample() wrote.
bool reads_as_sample(ByteReader& reader) {
  const bool same = reader.get<uint8_t>() == 0xfe && reader.get<uint16_t>() == 0x1234 &&
                    reader.get<int32_t>() == -2 &&
                    reader.get<uint64_t>() == std::numeric_limits<uint64_t>::max() - 1 &&
                    reader.get_text(3) == std::string_view("a\0\xff", 3);
  const auto last = reader.take(2);
  return same && last.size() == 2 && last[0] == 9 && last[1] == 8 && reader.done();
}

TEST_F(BytesTest, values_are_little_endian) {
  ByteWriter writer;
  writer.put<uint32_t>(0x04030201);
  writer.put_text("ab");
  EXPECT_EQ(writer.bytes(), (Bytes{1, 2, 3, 4, 2, 0, 0, 0, 'a', 'b'}));
}

TEST_F(BytesTest, what_is_written_is_read) {
  const auto writer = sample();
  ByteReader reader(writer.bytes());
  EXPECT_TRUE(reads_as_sample(reader));
}

TEST_F(BytesTest, every_truncation_is_not_ok) {
  const auto bytes = sample().take();
  for (size_t size = 0; size < bytes.size(); ++size) {
    const Bytes exact(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
    ByteReader reader(exact);
    EXPECT_FALSE(reads_as_sample(reader)) << size;
    EXPECT_FALSE(reader.done());
  }
}

TEST_F(BytesTest, every_flipped_byte_is_seen) {
  const auto bytes = sample().take();
  for (size_t at = 0; at < bytes.size(); ++at) {
    auto flipped = bytes;
    flipped[at] ^= 0xff;
    ByteReader reader(flipped);
    EXPECT_FALSE(reads_as_sample(reader)) << at;
  }
}

TEST_F(BytesTest, left_over_bytes_are_ok_but_not_done) {
  auto bytes = sample().take();
  bytes.push_back(0);
  ByteReader reader(bytes);
  EXPECT_FALSE(reads_as_sample(reader));
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.left(), 1U);
}

TEST_F(BytesTest, text_over_the_limit_is_not_ok_and_nothing_follows) {
  ByteWriter writer;
  writer.put_text("abcd");
  writer.put<uint8_t>(7);
  ByteReader reader(writer.bytes());
  EXPECT_EQ(reader.get_text(3), "");
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.get<uint8_t>(), 0);
  EXPECT_EQ(reader.left(), 0U);
}

TEST_F(BytesTest, length_beyond_the_bytes_is_not_ok) {
  ByteWriter writer;
  writer.put<uint32_t>(std::numeric_limits<uint32_t>::max());
  ByteReader reader(writer.bytes());
  EXPECT_EQ(reader.get_text(std::numeric_limits<size_t>::max()), "");
  EXPECT_FALSE(reader.ok());
}

TEST_F(BytesTest, patch_overwrites_in_place) {
  ByteWriter writer;
  writer.put<uint32_t>(0);
  writer.put<uint8_t>(5);
  writer.patch_u32(0, 0x01020304);
  EXPECT_EQ(writer.bytes(), (Bytes{4, 3, 2, 1, 5}));
}

}  // namespace
}  // namespace backupkit
