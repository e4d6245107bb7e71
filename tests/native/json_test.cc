#include "native/base/json.h"

#include <gtest/gtest.h>

#include <string>

namespace backupkit {
namespace {

std::string lists(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

std::string objects(size_t depth) {
  std::string text;
  for (size_t i = 0; i < depth; ++i) text += R"({"a":)";
  return text + "1" + std::string(depth, '}');
}

TEST(Json, what_is_nested_too_deep_is_not_taken) {
  constexpr size_t kMost = kMostNested;
  for (const auto& text : {lists(1), lists(kMost), objects(1), objects(kMost)}) {
    EXPECT_FALSE(parse_json(text).is_discarded()) << text.size();
    EXPECT_EQ(parse_json(text).dump(), text);
    EXPECT_EQ(read_json(text).value().dump(), text);
  }
  for (const auto& text : {lists(kMost + 1), lists(100'000), objects(kMost + 1), objects(100'000),
                           "{\"a\":1,\"b\":" + lists(1'000) + "}"}) {
    EXPECT_TRUE(parse_json(text).is_discarded()) << text.size();
    ASSERT_FALSE(read_json(text)) << text.size();
    EXPECT_EQ(read_json(text).error().context, kNestedTooDeep);
  }
}

TEST(Json, what_is_to_be_put_into_another_value_may_be_less_deep) {
  EXPECT_FALSE(parse_json(lists(kMostNested - 1), kMostNested - 1).is_discarded());
  EXPECT_TRUE(parse_json(lists(kMostNested), kMostNested - 1).is_discarded());
}

TEST(Json, what_is_no_json_is_told_where) {
  EXPECT_TRUE(parse_json("{\n,}").is_discarded());
  EXPECT_TRUE(parse_json("{} // more").is_discarded());
  EXPECT_TRUE(read_json("{} // more"));
  const auto wrong = read_json("{\n,}");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Code::kInvalidArgument);
  EXPECT_NE(wrong.error().message().find("line 2"), std::string::npos) << wrong.error().message();
}

}  // namespace
}  // namespace backupkit
