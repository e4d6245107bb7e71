#include "native/base/base64.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace backupkit {
namespace {

TEST(Base64, the_vectors_of_rfc_4648_go_both_ways) {
  for (const auto& [bytes, text] : {std::pair{"", ""},
                                    {"f", "Zg=="},
                                    {"fo", "Zm8="},
                                    {"foo", "Zm9v"},
                                    {"foob", "Zm9vYg=="},
                                    {"fooba", "Zm9vYmE="},
                                    {"foobar", "Zm9vYmFy"}}) {
    EXPECT_EQ(base64_encode(bytes), text);
    EXPECT_EQ(base64_decode(text).value(), bytes);
  }
}

TEST(Base64, every_byte_comes_back) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) {
    bytes += static_cast<char>(i);
    EXPECT_EQ(base64_decode(base64_encode(bytes)).value(), bytes);
  }
}

TEST(Base64, the_end_may_be_missing_and_nothing_else_is_taken) {
  EXPECT_EQ(base64_decode("Zg").value(), "f");
  EXPECT_EQ(base64_decode("Zm8").value(), "fo");
  for (const std::string text : {"Z", "Zg=", "Zg===", "Z===", "====", "=", "Zh==", "Zm9v\n", "Zm-v",
                                 "Zg==Zg==", "Zm9vZ", "\xFF\xFF\xFF\xFF"}) {
    EXPECT_FALSE(base64_decode(text)) << text;
  }
}

}  // namespace
}  // namespace backupkit
