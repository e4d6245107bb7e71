#include "native/extension/transaction.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "native/extension/backup_directory.h"
#include "tests/native/transaction_run.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

class TransactionTest : public TransactionRun {
 protected:
  // The old state where the app has changed or removed one entry.
  [[nodiscard]] Tree old_but(const std::string& path, const Tree& is) const {
    Tree tree = old_;
    tree.erase(path);
    if (is.contains(path)) tree[path] = is.at(path);
    // Of two names of an inode the second is told by the first.
    if (path == "links/first") tree["links/second"] = is.at("links/second");
    return tree;
  }
};

TEST_F(TransactionTest, a_merge_replaces_what_comes_and_leaves_the_rest) {
  auto prepared = prepare(false);
  EXPECT_EQ(tree_of(sandbox()).at("kept/changed"), old_.at("kept/changed"));
  ASSERT_TRUE(prepared.transaction.commit(prepared.journal).has_value());
  ASSERT_TRUE(prepared.transaction.finish().has_value());
  expect_same(tree_of(sandbox()), merged());
}

TEST_F(TransactionTest, a_mirror_is_what_comes_and_nothing_else) {
  auto prepared = prepare(true);
  ASSERT_TRUE(prepared.transaction.commit(prepared.journal).has_value());
  ASSERT_TRUE(prepared.transaction.finish().has_value());
  expect_same(tree_of(sandbox()), new_);
}

TEST_F(TransactionTest, what_is_there_already_is_not_made_again) {
  for (uint64_t written : {UINT64_MAX, uint64_t{0}}) {
    auto prepared = prepare(true);
    if (written == 0) {
      // Only what has several names is linked anew.
      EXPECT_EQ(prepared.bytes, std::string("other two names").size());
      for (const auto& step : prepared.journal.steps) {
        EXPECT_TRUE(step.path.starts_with("links/") || !fs::is_regular_file(sandbox() / step.path))
            << step.path;
      }
    }
    ASSERT_TRUE(prepared.transaction.commit(prepared.journal).has_value());
    ASSERT_TRUE(prepared.transaction.finish().has_value());
    expect_same(tree_of(sandbox()), new_);
  }
}

TEST_F(TransactionTest, of_entries_with_one_path_the_last_one_counts) {
  const fs::path wrong = *scratch_ / "wrong";
  const fs::path right = *scratch_ / "right";
  for (const std::string place : {"", "deep/er/"}) {
    make_file(wrong / (place + "file"), "wrong");
    make_file(wrong / (place + "directory/below/file"), "wrong");
    fs::create_symlink("wrong", wrong / (place + "symlink"));
    make_file(right / (place + "directory"), "right");
    make_file(right / (place + "symlink/below/file"), "right");
    fs::create_symlink("right", right / (place + "file"));
    make_file(wrong / (place + "there"), "wrong");
    make_file(right / (place + "there"), "right");
    make_file(sandbox() / (place + "there"), "right");
    for (const auto& tree : {right, sandbox()}) set_time(tree / (place + "there"), 5, 0);
  }
  // Enough for several threads.
  for (int i = 0; i < 300; ++i) {
    const auto path = "folder" + std::to_string(i % 20) + "/" + std::to_string(i);
    make_file(wrong / path, "wrong");
    fs::create_directories((right / path).parent_path());
    if (i % 3 == 0) fs::create_symlink("right", right / path);
    if (i % 3 == 1) make_file(right / path / "below", "right");
    if (i % 3 == 2) make_file(right / path, "right");
  }
  const auto sandbox_fd = root();
  auto transaction = Transaction::begin(sandbox_fd).value();
  Stage stage(sandbox_fd, transaction.stage(), {});
  for (const auto& tree : {wrong, right}) {
    auto put = put_entries(stage, Archive(tree));
    ASSERT_TRUE(put.has_value()) << put.error().message();
  }
  auto finished = stage.finish();
  ASSERT_TRUE(finished.has_value()) << finished.error().message();
  auto made = tree_of(sandbox() / ".backup/transaction/new");
  for (const auto* path : {"there", "deep/er/there"}) {
    EXPECT_FALSE(made.contains(path));
    made[path] = tree_of(sandbox()).at(path);
  }
  // Directories that the sandbox has are only on the way.
  for (const auto* path : {".", "deep", "deep/er"}) made[path] = tree_of(right).at(path);
  expect_same(made, tree_of(right));
}

// A backup may have no entry of the directory, as where it stored another one in it.
TEST_F(TransactionTest, a_directory_in_which_something_comes_stays_in_a_mirror) {
  make_file(sandbox() / "above/old", "old");
  const auto before = tree_of(sandbox());
  const auto sandbox_fd = root();
  TarWriter writer(unnamed_file(sandbox_fd).value());
  Entry entry;
  entry.path = "above/new";
  entry.type = EntryType::kFifo;
  entry.uid = ::geteuid();
  entry.gid = ::getegid();
  ASSERT_TRUE(writer.add(entry) && writer.finish());
  const auto size = writer.size();
  const auto archive = writer.release();
  auto transaction = Transaction::begin(sandbox_fd).value();
  Stage stage(sandbox_fd, transaction.stage(), {.prefix = "", .keeps_paths = true});
  TarReader reader(archive.borrow(), size);
  ASSERT_TRUE(stage.put(reader.next().value().value(), reader, archive.borrow()));
  ASSERT_TRUE(stage.finish());
  const auto journal = plan(sandbox_fd, transaction.stage(), stage, &kEverything).value();
  for (const auto& step : journal.steps) EXPECT_NE(step.path, "above");
  ASSERT_TRUE(transaction.commit(journal));
  EXPECT_TRUE(fs::is_fifo(sandbox() / "above/new"));
  EXPECT_FALSE(fs::exists(sandbox() / "above/old"));
  ASSERT_TRUE(transaction.undo());
  expect_same(tree_of(sandbox()), before);
}

TEST_F(TransactionTest, undone_before_and_after_the_commit_nothing_has_changed) {
  for (const bool commits : {false, true}) {
    auto prepared = prepare(true);
    if (commits) {
      ASSERT_TRUE(prepared.transaction.commit(prepared.journal).has_value());
      EXPECT_NE(tree_of(sandbox()), old_);
    }
    ASSERT_TRUE(prepared.transaction.undo().has_value());
    expect_same(tree_of(sandbox()), old_);
  }
}

TEST_F(TransactionTest, what_the_app_changes_meanwhile_is_an_error_and_stays_as_the_app_left_it) {
  // One that is replaced, and one that a mirror takes away.
  for (const std::string path : {"kept/changed", "links/first"}) {
    SCOPED_TRACE(path);
    auto prepared = prepare(true);
    make_file(sandbox() / "the app's", "by the app");
    fs::rename(sandbox() / "the app's", sandbox() / path);
    const auto done = prepared.transaction.commit(prepared.journal);
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().sys_errno, EBUSY) << done.error().message();
    EXPECT_FALSE(fs::exists(sandbox() / ".backup"));
    const auto is = tree_of(sandbox());
    EXPECT_NE(is.at(path), old_.at(path));
    expect_same(is, old_but(path, is));
    fs::remove_all(sandbox());
    make_old_state(sandbox());
  }
}

TEST_F(TransactionTest, what_the_app_removes_meanwhile_is_an_error_and_stays_removed) {
  for (const std::string path : {"kept/changed", "links/first"}) {
    SCOPED_TRACE(path);
    auto prepared = prepare(true);
    fs::remove(sandbox() / path);
    ASSERT_FALSE(prepared.transaction.commit(prepared.journal).has_value());
    EXPECT_FALSE(fs::exists(sandbox() / ".backup"));
    const auto is = tree_of(sandbox());
    EXPECT_FALSE(is.contains(path));
    expect_same(is, old_but(path, is));
    fs::remove_all(sandbox());
    make_old_state(sandbox());
  }
}

TEST_F(TransactionTest, of_a_transaction_that_somebody_works_on_nothing_is_touched) {
  auto prepared = prepare(false);
  const UniqueFd other(::open(sandbox().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(recover(other.borrow(), {}, no_code).value(), Recovered::kNothing);
  EXPECT_FALSE(remove_backup_directory(other.borrow()).value());
  ASSERT_TRUE(prepared.transaction.commit(prepared.journal).has_value());
  ASSERT_TRUE(prepared.transaction.finish().has_value());
  expect_same(tree_of(sandbox()), merged());
}

TEST_F(TransactionTest, the_apps_own_code_decides_after_a_crash_whether_the_new_data_stay) {
  for (const bool fails : {true, false}) {
    {
      auto prepared = prepare(false);
      prepared.journal.settings = "of the restore";
      ASSERT_TRUE(prepared.transaction.commit(prepared.journal).has_value());
    }
    std::string heard;
    const auto code = [&](const std::string& settings) -> Result<void> {
      heard = settings;
      EXPECT_EQ(tree_of(sandbox()).at("kept/changed"), new_.at("kept/changed"));
      // What the app does to the new data goes with them.
      make_file(sandbox() / "kept/app's", "new");
      fs::rename(sandbox() / "kept/app's", sandbox() / "kept/changed");
      fs::remove_all(sandbox() / "only new");
      if (fails) return failure(Code::kExtensionThrew, "no");
      return {};
    };
    EXPECT_EQ(recover(root(), {}, code).value(),
              fails ? Recovered::kUndone : Recovered::kCompleted);
    EXPECT_EQ(heard, "of the restore");
    if (fails) {
      expect_same(tree_of(sandbox()), old_);
    }
    EXPECT_EQ(recover(root(), {}, code).value(), Recovered::kNothing);
  }
  EXPECT_FALSE(fs::exists(sandbox() / ".backup"));
  EXPECT_FALSE(fs::exists(sandbox() / "only new"));
}

TEST_F(TransactionTest, a_damaged_journal_is_an_error_and_nothing_is_touched) {
  {
    auto prepared = prepare(false);
  }
  make_file(sandbox() / ".backup/transaction/journal", "{}\n");
  const auto before = tree_of(sandbox());
  const auto recovered = recover(root(), {}, no_code);
  ASSERT_FALSE(recovered.has_value());
  EXPECT_EQ(recovered.error().code, Code::kIo);
  expect_same(tree_of(sandbox()), before);
}

}  // namespace
}  // namespace backupkit
