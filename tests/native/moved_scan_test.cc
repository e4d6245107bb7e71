#include "native/manifest/moved_scan.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/native/scan_run.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

class MovedScanTest : public Scan {
 protected:
  Moves moves(std::vector<Move> list, const Rules& rules = kEverything) {
    auto effective = effective_moves(root_.borrow(), rules, std::move(list));
    EXPECT_TRUE(effective) << effective.error().message();
    return effective ? std::move(*effective) : Moves();
  }

  // The message of the walk's failure; "" for none.
  std::string failure_of(const std::vector<Move>& list) {
    const auto handlers = note([](const ScanEntry&) { return Result<void>(); });
    const auto scanned = scan_moved(root_.borrow(), kEverything, moves(list), handlers);
    if (scanned) return "";
    EXPECT_EQ(scanned.error().code, Code::kInvalidArgument);
    return scanned.error().message();
  }
};

TEST_F(MovedScanTest, a_directory_is_visited_where_it_goes_and_nowhere_else) {
  for (const std::string path : {"a/1", "b/deep/er", "b/2", "c/3"}) make(path);
  EXPECT_EQ(walk(kEverything, moves({{"b", "a/b"}})),
            (Paths{".", "a", "a/1", "a/b", "a/b/2", "a/b/deep", "a/b/deep/er", "c", "c/3"}));
  EXPECT_EQ(walk(kEverything, moves({{"b", "z"}})),
            (Paths{".", "a", "a/1", "c", "c/3", "z", "z/2", "z/deep", "z/deep/er"}));
  EXPECT_EQ(walk(kEverything, moves({{"b/deep", "!"}})),
            (Paths{".", "!", "!/er", "a", "a/1", "b", "b/2", "c", "c/3"}));
  // Between two entries of a directory that is deeper.
  make("a/x/y/0");
  make("a/x/y/9");
  EXPECT_EQ(walk(kEverything, moves({{"c", "a/x/y/5"}})),
            (Paths{".", "a", "a/1", "a/x", "a/x/y", "a/x/y/0", "a/x/y/5", "a/x/y/5/3", "a/x/y/9",
                   "b", "b/2", "b/deep", "b/deep/er"}));
}

TEST_F(MovedScanTest, two_change_places) {
  for (const std::string path : {"a/1", "b/2", "same/3"}) make(path);
  EXPECT_EQ(walk(kEverything, moves({{"a", "b"}, {"b", "a"}, {"same", "same"}})),
            (Paths{".", "a", "a/2", "b", "b/1", "same", "same/3"}));
}

TEST_F(MovedScanTest, one_in_another_goes_its_own_way) {
  for (const std::string path : {"a/1", "a/in/2", "a/in/deep/3"}) make(path);
  EXPECT_EQ(walk(kEverything, moves({{"a", "x"}, {"a/in", "y"}})),
            (Paths{".", "x", "x/1", "y", "y/2", "y/deep", "y/deep/3"}));
  // Also into where the other one goes, and to where it has been.
  EXPECT_EQ(walk(kEverything, moves({{"a", "x"}, {"a/in", "x/0"}, {"a/in/deep", "x/0/in"}})),
            (Paths{".", "x", "x/0", "x/0/2", "x/0/in", "x/0/in/3", "x/1"}));
  EXPECT_EQ(walk(kEverything, moves({{"a", "a/in"}, {"a/in", "a"}})),
            (Paths{".", "a", "a/2", "a/deep", "a/deep/3", "a/in", "a/in/1"}));
}

TEST_F(MovedScanTest, the_rules_are_of_the_paths_that_the_entries_have) {
  for (const std::string path : {"a/1", "a/no/2", "a/x.tmp", "b/3"}) make(path);
  const auto rules = Rules::make({"a", "b"}, {"a/no", "*.tmp", "z"});
  EXPECT_EQ(walk(rules, moves({{"a", "z"}}, rules)), (Paths{"b", "b/3", "z", "z/1"}));
  EXPECT_EQ(ends_.at("z/no"), Fate::kExcluded);
  EXPECT_EQ(rules.name_of(rules_hit_.at("z/no")), "exclude 'a/no'");
  EXPECT_FALSE(ends_.contains("a"));
  // Of one that is not included itself what is.
  const auto part = Rules::make({"a/1"}, {});
  EXPECT_EQ(walk(part, moves({{"a", "z"}}, part)), (Paths{"z", "z/1"}));
  const auto none = Rules::make({"a/none"}, {});
  EXPECT_EQ(walk(none, moves({{"a", "z"}}, none)), Paths());
  EXPECT_EQ(ends_.at("z"), Fate::kExcluded);
}

TEST_F(MovedScanTest, one_that_is_not_there_or_left_out_changes_nothing) {
  for (const std::string path : {"a/1", "b/2"}) make(path);
  const auto plain = walk(kEverything);
  EXPECT_EQ(walk(kEverything, moves({{"none", "b"}, {"none/deep", "a"}})), plain);
  const auto rules = Rules::make({"*"}, {"a"});
  EXPECT_EQ(walk(rules, moves({{"a", "b"}}, rules)), (Paths{".", "b", "b/2"}));
  EXPECT_EQ(ends_.at("a"), Fate::kExcluded);
}

TEST_F(MovedScanTest, what_is_no_directory_is_an_error) {
  make("file");
  make("a/1");
  fs::create_directory_symlink("a", dir_ / "link");
  for (const std::string from : {"file", "link", "file/in", "link/in"}) {
    const auto effective = effective_moves(root_.borrow(), kEverything, {{from, "z"}});
    ASSERT_FALSE(effective) << from;
    EXPECT_EQ(effective.error().code, Code::kInvalidArgument);
    EXPECT_TRUE(effective.error().message().contains("'" + from + "'"));
  }
}

TEST_F(MovedScanTest, two_things_at_one_path_are_an_error) {
  for (const std::string path : {"a/1", "b/2", "b/deep/3", "file"}) make(path);
  EXPECT_EQ(failure_of({{"a", "c"}}), "");
  EXPECT_TRUE(failure_of({{"a", "b"}}).contains("'b' is stored as 'b' as well"));
  EXPECT_TRUE(failure_of({{"a", "b/2"}}).contains("'b/2' is stored as 'b/2' as well"));
  EXPECT_TRUE(failure_of({{"a", "file"}}).contains("'file' is stored as 'file' as well"));
  EXPECT_TRUE(failure_of({{"a", "file/in"}}).contains("'file' is stored as 'file' as well"));
  EXPECT_TRUE(failure_of({{"b", "z"}, {"a", "z/2"}}).contains("'b/2' is stored as 'z/2' as well"));
  EXPECT_TRUE(failure_of({{"b", "z"}, {"a", "z/deep/3/in"}}).contains("'b/deep/3' is stored as"));
  EXPECT_TRUE(failure_of({{"b/deep", "b"}}).contains("'b' is stored as 'b' as well"));
  // What is excluded, or no file, is no obstacle.
  const auto rules = Rules::make({"*"}, {"file", "b"});
  EXPECT_EQ(walk(rules, moves({{"a", "file/in"}}, rules)), (Paths{".", "file/in", "file/in/1"}));
  EXPECT_EQ(walk(rules, moves({{"a", "b/2"}}, rules)), (Paths{".", "b/2", "b/2/1"}));
}

TEST_F(MovedScanTest, one_that_vanishes_after_the_first_look_is_none) {
  for (const std::string path : {"a/in/1", "b/2"}) make(path);
  const auto chosen = moves({{"a/in", "z"}});
  fs::remove_all(dir_ / "a/in");
  EXPECT_EQ(walk(kEverything, chosen), (Paths{".", "a", "b", "b/2"}));
  EXPECT_EQ(ends_.at("z"), Fate::kVanished);
  fs::remove_all(dir_ / "a");
  EXPECT_EQ(walk(kEverything, chosen), (Paths{".", "b", "b/2"}));
  EXPECT_EQ(ends_.at("z"), Fate::kVanished);
}

TEST_F(MovedScanTest, one_that_cannot_be_read_is_so_where_it_goes) {
  if (::geteuid() == 0) GTEST_SKIP() << "root reads all";
  for (const std::string path : {"a/1", "b/2"}) make(path);
  ASSERT_EQ(::chmod((dir_ / "a").c_str(), 0), 0);
  EXPECT_EQ(walk(kEverything, moves({{"a", "b/a"}})), (Paths{".", "b", "b/2"}));
  EXPECT_EQ(ends_.at("b/a"), Fate::kUnreadable);
  // What is below it is not known, so nothing can go there.
  EXPECT_TRUE(failure_of({{"b", "a/b"}}).contains("'a' is stored as 'a' as well"));
  ASSERT_EQ(::chmod((dir_ / "a").c_str(), 0700), 0);
}

TEST_F(MovedScanTest, as_deep_as_a_walk_goes) {
  std::string deep = "a";
  for (int i = 0; i < 200; ++i) deep += "/d";
  make(deep + "/file");
  make("above/a/b/1");
  const auto rules = Rules::make({deep + "/file", "above"}, {});
  const auto paths = walk(rules, moves({{"a", "above/a/b/0"}}, rules));
  EXPECT_EQ(paths.size(), 3 + 1 + 201 + 1);
  EXPECT_EQ(paths.back(), "above/a/b/1");
  EXPECT_TRUE(ends_.contains("above/a/b/0" + deep.substr(1) + "/file"));
}

TEST(Moves, know_the_source_of_what_they_store) {
  const Moves moves({{"a", "x"}, {"b", "x/y"}, {"c", "x!"}});
  EXPECT_EQ(moves.source_of("x"), "a");
  EXPECT_EQ(moves.source_of("x/1"), "a/1");
  EXPECT_EQ(moves.source_of("x/y/2"), "b/2");
  EXPECT_EQ(moves.source_of("x/yy"), "a/yy");
  EXPECT_EQ(moves.source_of("x!/3"), "c/3");
  EXPECT_EQ(moves.source_of("xx"), "xx");
  EXPECT_EQ(moves.source_of("."), ".");
}

TEST(Moves, have_inner_paths) {
  EXPECT_EQ(move_path("/a/b/"), "a/b");
  EXPECT_EQ(move_path("a"), "a");
  for (const std::string text : {"", "/", ".", "a/../b", "a//b", "..", ".backup", "/.backup/x"}) {
    EXPECT_FALSE(move_path(text)) << text;
  }
  EXPECT_EQ(move_path("a/.backup"), "a/.backup");
}

}  // namespace
}  // namespace backupkit
