#include "native/manifest/walk_order.h"

#include <gtest/gtest.h>

#include <compare>
#include <string>
#include <vector>

namespace backupkit {
namespace {

TEST(WalkOrder, is_that_of_names_level_by_level) {
  const std::vector<std::string> paths{
      ".",      "\x01", " ",     "!",    "-",        "..b",   ".a",        "B",       "a",
      "a/\x01", "a/b",  "a/b/c", "a/b!", "a/c",      "a\x01", "a!",        "a-b",     "a.c",
      "a.c/x",  "a0",   "aa",    "b",    "\xC3\xA4", "\xFF",  "\xFF/\xFF", "\xFF\xFF"};
  for (size_t i = 0; i < paths.size(); ++i) {
    for (size_t k = 0; k < paths.size(); ++k) {
      EXPECT_EQ(walk_order(paths[i], paths[k]), i <=> k) << paths[i] << " and " << paths[k];
    }
  }
}

}  // namespace
}  // namespace backupkit
