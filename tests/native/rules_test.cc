#include "native/manifest/rules.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace backupkit {
namespace {

using Verdict = Rules::Verdict;

Verdict verdict_on(const Rules& rules, std::string_view path, bool is_directory = false) {
  return rules.explain(path, is_directory).judgement.verdict;
}

// The rule and where it was decided.
std::string reason(const Rules& rules, std::string_view path, bool is_directory = false) {
  const auto found = rules.explain(path, is_directory);
  return rules.name_of(found.judgement) + " at " + found.decided_at;
}

struct Row {
  std::vector<std::string> includes;
  std::vector<std::string> excludes;
  std::string path;
  bool is_directory;
  Verdict verdict;
};

TEST(Rules, table) {
  const std::vector<Row> rows{
      {{"*"}, {}, "any/thing", false, Verdict::kTake},
      {{"/"}, {}, "any/thing", false, Verdict::kTake},
      {{"."}, {}, "any/thing", false, Verdict::kTake},
      {{}, {}, "any/thing", false, Verdict::kOutside},
      {{""}, {}, "any/thing", false, Verdict::kOutside},
      // With and without a `/` before and behind.
      {{"a/b"}, {}, "a/b", false, Verdict::kTake},
      {{"/a/b/"}, {}, "a/b", true, Verdict::kTake},
      {{"./a//b"}, {}, "a/b", true, Verdict::kTake},
      {{"a/b"}, {}, "a/b/c/d", false, Verdict::kTake},
      {{"a/b"}, {}, "a", true, Verdict::kDescend},
      {{"a/b"}, {}, "a", false, Verdict::kOutside},
      {{"a/b"}, {}, "a/bc", false, Verdict::kOutside},
      {{"a/b"}, {}, "x/a/b", false, Verdict::kOutside},
      // A name alone matches anywhere, with a `/` before it only at the top.
      {{"b"}, {}, "x/y/b/z", false, Verdict::kTake},
      {{"b/"}, {}, "x/y/b/z", false, Verdict::kTake},
      {{"/b"}, {}, "x/b", false, Verdict::kOutside},
      {{"/b"}, {}, "b/x", false, Verdict::kTake},
      {{"b"}, {}, "x", true, Verdict::kDescend},
      {{"*.db"}, {}, "x/y/z.db", false, Verdict::kTake},
      // Wildcards do not cross a `/`; a dot at the begin is nothing special.
      {{"a/*"}, {}, "a/b/c", false, Verdict::kTake},
      {{"a/*/c"}, {}, "a/b/c", false, Verdict::kTake},
      {{"a/*/c"}, {}, "a/b/x/c", false, Verdict::kOutside},
      {{"a/*/c"}, {}, "a/b", true, Verdict::kDescend},
      {{"a/*c"}, {}, "a/b/c", false, Verdict::kOutside},
      {{"a/*"}, {}, "a/.hidden", false, Verdict::kTake},
      {{"a/?"}, {}, "a/b", false, Verdict::kTake},
      {{"a/[b-d]x"}, {}, "a/cx", false, Verdict::kTake},
      {{"a/[!b]x"}, {}, "a/bx", false, Verdict::kOutside},
      {{"a/\\*"}, {}, "a/*", false, Verdict::kTake},
      {{"a/\\*"}, {}, "a/b", false, Verdict::kOutside},
      {{"a/*.db"}, {}, std::string("a/\xFF.db"), false, Verdict::kTake},
      {{"a/**/c"}, {}, "a/b/x/c", false, Verdict::kOutside},
      {{"[ab]"}, {}, "x/b", false, Verdict::kTake},
      {{"a["}, {}, "a[", false, Verdict::kTake},
      {{"*"}, {}, ".", true, Verdict::kTake},
      {{"a"}, {}, ".", true, Verdict::kOutside},
      // Excludes win.
      {{"*"}, {"cache"}, "a/cache/x", false, Verdict::kExclude},
      {{"*"}, {"/cache"}, "a/cache", false, Verdict::kTake},
      {{"*"}, {"*.tmp"}, "a/b.tmp", false, Verdict::kExclude},
      {{"*"}, {"a/b/"}, "a/b/c", false, Verdict::kExclude},
      {{"a/b"}, {"a"}, "a/b", false, Verdict::kExclude},
      {{"a/b"}, {"*"}, "a/b", false, Verdict::kExclude},
      {{"*"}, {"/"}, "a", false, Verdict::kExclude},
      {{"*"}, {""}, "a", false, Verdict::kTake},
      {{"a/b/c"}, {"a/b"}, "a/b/c", false, Verdict::kExclude},
      {{"a"}, {"b/a"}, "a/b/a", false, Verdict::kTake},
      {{"a/b"}, {"b"}, "a", true, Verdict::kDescend},
      {{"a/keep"}, {"/a/*"}, "a/keep", false, Verdict::kExclude},
      // The staging directory, at the top only.
      {{"*"}, {}, ".backup", true, Verdict::kExclude},
      {{"/.backup"}, {}, ".backup/restore/x", false, Verdict::kExclude},
      {{"*"}, {}, "a/.backup", true, Verdict::kTake},
      {{"*"}, {}, ".backups", true, Verdict::kTake},
  };
  for (const Row& row : rows) {
    const Rules rules = Rules::make(row.includes, row.excludes);
    EXPECT_EQ(verdict_on(rules, row.path, row.is_directory), row.verdict)
        << (row.includes.empty() ? "-" : row.includes.front()) << " without "
        << (row.excludes.empty() ? "-" : row.excludes.front()) << ": " << row.path;
  }
}

TEST(Rules, explain_names_the_rule_and_the_directory_that_decided) {
  const Rules rules = Rules::make({"/a", "x/*/z"}, {"cache", "*.tmp"});
  EXPECT_EQ(reason(rules, "a"), "include '/a' at a");
  EXPECT_EQ(reason(rules, "a/b/c"), "include '/a' at a");
  EXPECT_EQ(reason(rules, "a/b/x.tmp"), "exclude '*.tmp' at a/b/x.tmp");
  EXPECT_EQ(reason(rules, "a/cache/b/x.tmp"), "exclude 'cache' at a/cache");
  EXPECT_EQ(reason(rules, "x/y", true), "include 'x/*/z' at x/y");
  EXPECT_EQ(reason(rules, "x/y"), "no include at x/y") << "a file of that name is not reached";
  EXPECT_EQ(reason(rules, "x/y/z/1"), "include 'x/*/z' at x/y/z");
  EXPECT_EQ(reason(rules, "q/r/s"), "no include at q");
  EXPECT_EQ(reason(rules, ".backup/x"), "the service's own '.backup' at .backup");
  EXPECT_EQ(reason(rules, ".", true), "no include at .");
}

TEST(Rules, explain_of_a_whole_sandbox_names_the_include_that_says_so) {
  const Rules rules = Rules::make({"a", "*"}, {"b"});
  EXPECT_EQ(reason(rules, ".", true), "include '*' at .");
  EXPECT_EQ(reason(rules, "a/c"), "include '*' at .");
  EXPECT_EQ(reason(rules, "a/b/c"), "exclude 'b' at a/b");
}

TEST(Rules, a_bundle_without_includes_has_the_default_ones) {
  const Rules rules = Rules::configured(std::nullopt, {"tmp"});
  EXPECT_TRUE(rules.are_default());
  EXPECT_EQ(reason(rules, "data/storage/el2/base/files/a"),
            "default include 'data/storage/el2/base/files/' at data/storage/el2/base/files");
  EXPECT_EQ(reason(rules, "data/storage/el2/base/files/tmp"),
            "exclude 'tmp' at data/storage/el2/base/files/tmp");
  const Rules none = Rules::configured(std::vector<std::string>(), {});
  EXPECT_FALSE(none.are_default());
  EXPECT_EQ(verdict_on(none, "data/storage/el2/base/files/a"), Verdict::kOutside);
}

TEST(Rules, default_includes_take_the_app_data_alone) {
  EXPECT_EQ(Rules::default_includes().size(), 13U);
  const Rules rules = Rules::make(Rules::default_includes(), {});
  EXPECT_FALSE(rules.takes_everything());
  for (const std::string path :
       {"data/storage/el1/database/a", "data/storage/el2/base/files/a/b",
        "data/storage/el2/base/haps/entry/preferences/x", "data/storage/el2/distributedfiles/f"}) {
    EXPECT_EQ(verdict_on(rules, path), Verdict::kTake) << path;
  }
  for (const std::string path :
       {"data/storage/el2/base/cache/a", "data/storage/el1/distributedfiles/f", "etc/passwd",
        "data/storage/el2/base/haps/entry/cache/x"}) {
    EXPECT_EQ(verdict_on(rules, path), Verdict::kOutside) << path;
  }
}

}  // namespace
}  // namespace backupkit
