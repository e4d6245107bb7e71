#include "native/service/dependencies.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace backupkit {
namespace {

using Names = std::vector<std::string>;

TEST(DependenciesTest, names_stand_between_commas) {
  EXPECT_EQ(names_in(""), Names{});
  EXPECT_EQ(names_in(" , ,"), Names{});
  EXPECT_EQ(names_in("a"), Names{"a"});
  EXPECT_EQ(names_in("com.example.a, com.example.b ,c:1,"),
            (Names{"com.example.a", "com.example.b", "c:1"}));
}

TEST(DependenciesTest, a_circle_is_named_and_what_only_leads_to_it_is_not) {
  EXPECT_EQ(circle_in({}), "");
  EXPECT_EQ(circle_in({{"a", {"a"}}}), "a, a");
  EXPECT_EQ(circle_in({{"a", {"c", "b"}}, {"b", {"d"}}, {"d", {"b"}}}), "b, d, b");
  EXPECT_EQ(circle_in({{"a", {"b"}}, {"b", {"c"}}, {"c", {"a"}}}), "a, b, c, a");
}

TEST(DependenciesTest, two_ways_to_one_bundle_are_no_circle) {
  EXPECT_EQ(circle_in({{"a", {"b", "c", "b"}}, {"b", {"d"}}, {"c", {"d", "none"}}, {"d", {}}}), "");
}

TEST(DependenciesTest, a_long_chain_is_walked) {
  Dependencies chain;
  for (int i = 0; i < 100'000; ++i) chain[std::to_string(i)] = {std::to_string(i + 1)};
  EXPECT_EQ(circle_in(chain), "");
  chain["100000"] = {"99999"};
  EXPECT_EQ(circle_in(chain), "99999, 100000, 99999");
}

}  // namespace
}  // namespace backupkit
