#include "native/manifest/merge_join.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "native/manifest/walk_order.h"
#include "tests/native/census.h"
#include "tests/native/manifest_files.h"

namespace backupkit {
namespace {

using Merge = Census;

struct InOrder {
  bool operator()(const std::string& a, const std::string& b) const { return walk_order(a, b) < 0; }
};
using Tree = std::map<std::string, uint64_t, InOrder>;  // a path's size

struct Joined {
  std::vector<std::pair<std::string, uint64_t>> matched;  // the path and its old size
  std::vector<std::string> fresh;
  std::vector<std::string> vanished;
  friend bool operator==(const Joined&, const Joined&) = default;
};

Joined join(SortedRows old, const Tree& now) {
  Joined joined;
  MergeJoin merge(std::move(old), [&](const ManifestRow& row) -> Result<void> {
    joined.vanished.push_back(row.path);
    return {};
  });
  for (const auto& [path, size] : now) {
    const auto row = merge.match(path);
    EXPECT_TRUE(row) << row.error().message();
    if (row && *row) joined.matched.emplace_back((*row)->path, (*row)->size);
    if (row && !*row) joined.fresh.push_back(path);
  }
  EXPECT_TRUE(merge.finish());
  return joined;
}

// The same by looking each path up.
Joined model(const Tree& old, const Tree& now) {
  Joined joined;
  for (const auto& [path, size] : now) {
    const auto found = old.find(path);
    if (found != old.end()) joined.matched.emplace_back(path, found->second);
    if (found == old.end()) joined.fresh.push_back(path);
  }
  for (const auto& [path, size] : old) {
    if (!now.contains(path)) joined.vanished.push_back(path);
  }
  return joined;
}

UniqueFd file_of_tree(const Tree& tree) {
  std::vector<ManifestRow> rows;
  for (const auto& [path, size] : tree) {
    rows.push_back(file_row(path));
    rows.back().size = size;
  }
  return manifest_file(rows);
}

UniqueFd version1_of_tree(const Tree& tree, std::mt19937& random) {
  std::vector<std::string> lines;
  for (const auto& [path, size] : tree) {
    lines.push_back(path + ";33188;0;" + std::to_string(size) + ";0;;0;0\n");
  }
  std::shuffle(lines.begin(), lines.end(), random);
  std::string text(kManifestHead1);
  for (const std::string& line : lines) text += line;
  return file_of(text);
}

Tree random_tree(std::mt19937& random) {
  const std::vector<std::string> names{"a", "b", "a.c", "a!", "a0", "\xC3\xA4", "Z"};
  const auto below = [&](size_t most) { return random() % most; };
  Tree tree;
  if (below(2) == 0) tree["."] = below(1000);
  for (size_t i = below(60); i > 0; --i) {
    std::string path = names[below(names.size())];
    for (size_t depth = below(4); depth > 0; --depth) path += "/" + names[below(names.size())];
    tree[path] = below(1000);
  }
  return tree;
}

Tree changed(Tree tree, std::mt19937& random) {
  std::erase_if(tree, [&](const auto&) { return random() % 4 == 0; });
  if (random() % 3 > 0) tree.merge(random_tree(random));
  return tree;
}

TEST_F(Merge, agrees_with_a_model) {
  const char* given = std::getenv("BACKUPKIT_SEED");  // NOLINT(concurrency-mt-unsafe)
  const auto seed =
      given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device()();
  SCOPED_TRACE("BACKUPKIT_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 1000; ++round) {
    const Tree old = random_tree(random);
    const Tree now = changed(old, random);
    const UniqueFd file = file_of_tree(old);
    EXPECT_EQ(join(SortedRows::open(file.borrow()).value(), now), model(old, now));
    const UniqueFd version1 = version1_of_tree(old, random);
    EXPECT_EQ(join(SortedRows::open(version1.borrow()).value(), now), model(old, now));
    if (HasFailure()) break;
  }
}

TEST_F(Merge, what_is_below_a_path_is_taken_whole_and_nothing_else) {
  const UniqueFd file =
      file_of_tree({{"a", 1}, {"b", 1}, {"b/x", 1}, {"b/x/y", 1}, {"b!", 1}, {"c", 1}});
  std::vector<std::string> vanished;
  MergeJoin merge(SortedRows::open(file.borrow()).value(), [&](const ManifestRow& row) {
    vanished.push_back(row.path);
    return Result<void>();
  });
  EXPECT_TRUE(merge.match("b").value());
  std::vector<std::string> taken;
  EXPECT_TRUE(merge.take_below("b", [&](const ManifestRow& row) {
    taken.push_back(row.path);
    return Result<void>();
  }));
  EXPECT_EQ(taken, (std::vector<std::string>{"b/x", "b/x/y"}));
  EXPECT_TRUE(merge.match("b!").value());
  EXPECT_TRUE(merge.finish());
  EXPECT_EQ(vanished, (std::vector<std::string>{"a", "c"}));
}

TEST_F(Merge, ends_with_the_error_of_the_visit) {
  const UniqueFd file = file_of_tree({{"a", 1}, {"b", 1}});
  int calls = 0;
  MergeJoin merge(SortedRows::open(file.borrow()).value(), [&](const ManifestRow&) {
    ++calls;
    return Result<void>(failure(Code::kCancelled, "enough"));
  });
  EXPECT_EQ(merge.match("c").error().code, Code::kCancelled);
  EXPECT_EQ(calls, 1);
}

TEST_F(Merge, a_damaged_manifest_ends_it) {
  const UniqueFd whole = file_of_tree({{"a", 1}, {"b", 1}});
  std::string text = text_of(whole.borrow());
  text.erase(text.find("end;"));
  const UniqueFd torn = file_of(text);
  MergeJoin merge(SortedRows::open(torn.borrow()).value(),
                  [](const ManifestRow&) { return Result<void>(); });
  EXPECT_TRUE(merge.match("b").value());
  EXPECT_EQ(merge.match("c").error().context, "line 5 of a manifest: torn: no end");
  EXPECT_FALSE(merge.finish());
}

using MergeDeathTest = Merge;

TEST_F(MergeDeathTest, aborts_on_paths_out_of_order) {
  const UniqueFd file = file_of_tree({});
  MergeJoin merge(SortedRows::open(file.borrow()).value(),
                  [](const ManifestRow&) { return Result<void>(); });
  (void)merge.match("a");
  EXPECT_DEATH((void)merge.match("a"), "");
  EXPECT_DEATH((void)merge.match("."), "");
}

std::string version1(size_t rows) {
  std::string text(kManifestHead1);
  for (size_t i = 0; i < rows; ++i) text += std::to_string(i) + ";33188;0;0;0;;0;0\n";
  return text;
}

TEST_F(Merge, of_a_path_twice_in_version_1_the_first_row_counts) {
  std::string text = version1(0);
  for (const std::string size : {"7", "8", "9"}) text += "b;33188;0;" + size + ";0;;0;0\n";
  const UniqueFd file = file_of(text + "a;33188;0;1;0;;0;0\n");
  auto rows = SortedRows::open(file.borrow()).value();
  EXPECT_EQ(rows.next().value()->path, "a");
  EXPECT_EQ(rows.next().value()->size, 7U);
  EXPECT_FALSE(rows.next().value());
  EXPECT_FALSE(rows.next().value());
}

TEST_F(Merge, of_version_1_a_bounded_number_of_rows_is_held) {
  const UniqueFd file = file_of(version1(12));
  EXPECT_TRUE(SortedRows::open(file.borrow(), {.rows = 12}));
  EXPECT_EQ(SortedRows::open(file.borrow(), {.rows = 11}).error().code, Code::kInvalidArgument);
  EXPECT_TRUE(SortedRows::open(file.borrow(), {.path_bytes = 14}));  // 0 to 9, 10 and 11
  EXPECT_FALSE(SortedRows::open(file.borrow(), {.path_bytes = 13}));
  EXPECT_FALSE(SortedRows::open(file.borrow(), {.path_bytes = 0}));
}

}  // namespace
}  // namespace backupkit
