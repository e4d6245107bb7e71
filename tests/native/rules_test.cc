#include "native/manifest/rules.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace backupkit {
namespace {

using Verdict = Rules::Verdict;

// Walks to `path` as the scan does: from the top, no further than an excluded or outside directory.
Verdict walk(const Rules& rules, std::string_view path, bool is_directory = false,
             size_t* rule = nullptr) {
  bool taken = rules.takes_everything();
  for (size_t slash = path.find('/'); slash != std::string_view::npos;
       slash = path.find('/', slash + 1)) {
    const Verdict above = rules.judge(path.substr(0, slash), true, taken, rule);
    if (above == Verdict::kExclude || above == Verdict::kOutside) return above;
    taken = above == Verdict::kTake;
  }
  return rules.judge(path, is_directory, taken, rule);
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
      // Excludes win.
      {{"*"}, {"cache"}, "a/cache/x", false, Verdict::kExclude},
      {{"*"}, {"/cache"}, "a/cache", false, Verdict::kTake},
      {{"*"}, {"*.tmp"}, "a/b.tmp", false, Verdict::kExclude},
      {{"*"}, {"a/b/"}, "a/b/c", false, Verdict::kExclude},
      {{"a/b"}, {"a"}, "a/b", false, Verdict::kExclude},
      {{"a/b"}, {"*"}, "a/b", false, Verdict::kExclude},
      {{"*"}, {"/"}, "a", false, Verdict::kExclude},
      {{"*"}, {""}, "a", false, Verdict::kTake},
      // The staging directory, at the top only.
      {{"*"}, {}, ".backup", true, Verdict::kExclude},
      {{"/.backup"}, {}, ".backup/restore/x", false, Verdict::kExclude},
      {{"*"}, {}, "a/.backup", true, Verdict::kTake},
      {{"*"}, {}, ".backups", true, Verdict::kTake},
  };
  for (const Row& row : rows) {
    const Rules rules = Rules::make(row.includes, row.excludes);
    EXPECT_EQ(walk(rules, row.path, row.is_directory), row.verdict)
        << (row.includes.empty() ? "-" : row.includes.front()) << " without "
        << (row.excludes.empty() ? "-" : row.excludes.front()) << ": " << row.path;
  }
}

TEST(Rules, judge_names_the_rule) {
  const Rules rules = Rules::make({"*"}, {"a", "*.tmp"});
  size_t rule = 77;
  EXPECT_EQ(walk(rules, "b/x.tmp", false, &rule), Verdict::kExclude);
  EXPECT_EQ(rules.excludes()[rule], "*.tmp");
  EXPECT_EQ(walk(rules, ".backup", true, &rule), Verdict::kExclude);
  EXPECT_EQ(rule, Rules::kBuiltIn);
}

TEST(Rules, default_includes_take_the_app_data_alone) {
  EXPECT_EQ(Rules::default_includes().size(), 13U);
  const Rules rules = Rules::make(Rules::default_includes(), {});
  EXPECT_FALSE(rules.takes_everything());
  for (const std::string path :
       {"data/storage/el1/database/a", "data/storage/el2/base/files/a/b",
        "data/storage/el2/base/haps/entry/preferences/x", "data/storage/el2/distributedfiles/f"}) {
    EXPECT_EQ(walk(rules, path), Verdict::kTake) << path;
  }
  for (const std::string path :
       {"data/storage/el2/base/cache/a", "data/storage/el1/distributedfiles/f", "etc/passwd",
        "data/storage/el2/base/haps/entry/cache/x"}) {
    EXPECT_EQ(walk(rules, path), Verdict::kOutside) << path;
  }
}

}  // namespace
}  // namespace backupkit
