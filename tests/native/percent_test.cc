#include "native/base/percent.h"

#include <gtest/gtest.h>

#include <string>

#include "native/base/utf8.h"

namespace backupkit {
namespace {

TEST(Percent, keeps_what_is_plain) {
  for (const std::string text : {"", "a/b.c", "Grüße/日本語/😀", "a b=c&d+e"}) {
    EXPECT_FALSE(needs_percent(text)) << text;
    EXPECT_EQ(percent_encode(text), text);
  }
}

TEST(Percent, encodes_what_breaks_a_row) {
  EXPECT_EQ(percent_encode("a;b"), "a%3Bb");
  EXPECT_EQ(percent_encode("50%"), "50%25");
  EXPECT_EQ(percent_encode("a\nb\tc\x7F"), "a%0Ab%09c%7F");
}

TEST(Percent, encodes_what_is_not_utf8) {
  EXPECT_EQ(percent_encode("a\xFFz"), "a%FFz");
  EXPECT_EQ(percent_encode("\xC3"), "%C3");                       // cut short
  EXPECT_EQ(percent_encode("\xC0\xAF"), "%C0%AF");                // overlong
  EXPECT_EQ(percent_encode("\xE0\x80\xAF"), "%E0%80%AF");         // overlong
  EXPECT_EQ(percent_encode("\xED\xA0\x80"), "%ED%A0%80");         // a surrogate
  EXPECT_EQ(percent_encode("\xF4\x90\x80\x80"), "%F4%90%80%80");  // past U+10FFFF
  EXPECT_EQ(percent_encode("\xE6\x97x"), "%E6%97x");
  EXPECT_TRUE(is_utf8("\xF4\x8F\xBF\xBF"));
  EXPECT_FALSE(is_utf8("\xF4\x90\x80\x80"));
}

TEST(Percent, decode_gives_back_every_pair_of_bytes) {
  for (int first = 1; first < 256; ++first) {
    for (int second = 1; second < 256; ++second) {
      const std::string text{static_cast<char>(first), static_cast<char>(second)};
      const std::string encoded = percent_encode(text);
      ASSERT_TRUE(is_utf8(encoded));
      ASSERT_EQ(encoded != text, needs_percent(text));
      const auto decoded = percent_decode(encoded);
      ASSERT_TRUE(decoded);
      ASSERT_EQ(*decoded, text);
    }
  }
}

TEST(Percent, decode_refuses_what_is_cut_or_no_hex) {
  EXPECT_EQ(percent_decode("%3b").value(), ";");
  for (const std::string text : {"%", "a%", "%4", "%G0", "%0G", "%%41", "%00"}) {
    const auto decoded = percent_decode(text);
    ASSERT_FALSE(decoded) << text;
    EXPECT_EQ(decoded.error().code, Code::kInvalidArgument);
  }
}

}  // namespace
}  // namespace backupkit
