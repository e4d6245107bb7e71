// What lies in `.backup` for the app, when whoever puts it there or takes it away is killed: each
// tree in it is there wholly or not at all.
#include "native/extension/backup_directory.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <iostream>
#include <regex>
#include <string>

#include "tests/native/points.h"
#include "tests/native/tracer.h"
#include "tests/native/transaction_run.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

constexpr Break kKillAtChange{Break::Kind::kKillAtChange};

class BackupDirectoryTest : public TransactionRun {
 protected:
  // The sandbox has no other data than what the app has been given.
  void make_old(const fs::path& top) const override {
    make_file(top / "data", "the app's");
    make_old_state(top / ".backup/restore");
    make_file(top / ".backup/of the app/note", "the app's");
  }

  [[nodiscard]] fs::path backup() const { return sandbox() / ".backup"; }
  [[nodiscard]] fs::path for_the_app() const { return backup() / "restore"; }

  void begin_anew() const {
    fs::remove_all(sandbox());
    make_old(sandbox());
  }

  // What a restore does for an app that puts its data into their place itself.
  Result<void> restore_for_the_app(BorrowedFd sandbox_fd, bool keeps) {
    auto begun = Transaction::begin(sandbox_fd, {.keeps_directory = keeps});
    if (!begun) return failure(begun.error());
    Stage stage(sandbox_fd, begun->stage(), {.prefix = ".backup/restore/"});
    if (auto put = put_all(stage, *archive_); !put) return put;
    auto journal = plan(sandbox_fd, begun->stage(), stage, nullptr);
    if (!journal) return failure(journal.error());
    if (auto done = begun->commit(*journal); !done) return done;
    return begun->finish();
  }

  Traced run(const std::function<Result<void>(BorrowedFd)>& work, size_t at = kNoCall) {
    const auto sandbox_fd = root();
    return run_traced([&] { return work(sandbox_fd) ? 0 : 1; }, at, kKillAtChange);
  }

  static Result<void> recover_all(BorrowedFd sandbox_fd) {
    auto done = recover(sandbox_fd, {}, no_code);
    if (!done) return failure(done.error());
    return {};
  }

  // Kills that work before each of its changes and the recovery after it, too; `check` looks at
  // what the next one leaves.
  void kill(const std::function<Result<void>(BorrowedFd)>& work,
            const std::function<void()>& check) {
    begin_anew();
    const auto whole = run(work);
    EXPECT_EQ(whole.status, 0);
    for (const auto at : points(whole.calls, 25)) {
      SCOPED_TRACE("killed before its change " + std::to_string(at));
      begin_anew();
      ASSERT_TRUE(run(work, at).fired);
      const auto recovery = run(recover_all);
      check();
      for (const auto again : points(recovery.calls, 3)) {
        begin_anew();
        ASSERT_TRUE(run(work, at).fired);
        ASSERT_TRUE(run(recover_all, again).fired);
        ASSERT_EQ(run(recover_all).status, 0);
        check();
        ASSERT_FALSE(HasFailure());
      }
    }
  }

  // The tree for the app is the old or the new one, or none.
  void check_whole() const {
    EXPECT_TRUE(fs::exists(sandbox() / "data"));
    if (!fs::exists(for_the_app())) return;
    const auto tree = tree_of(for_the_app());
    const auto old_state = state(make_old_state);
    const bool is_old = tree.at("kept/changed") == old_state.at("kept/changed");
    expect_same(tree, is_old ? old_state : merged_state(old_state, new_));
  }

  [[nodiscard]] Tree state(void (*make)(const fs::path&)) const {
    const auto place = *scratch_ / "state";
    fs::remove_all(place);
    make(place);
    return tree_of(place);
  }
};

TEST_F(BackupDirectoryTest, what_is_kept_outlasts_a_restore_that_is_put_into_it) {
  ASSERT_EQ(run([&](BorrowedFd top) { return restore_for_the_app(top, true); }).status, 0);
  expect_same(tree_of(for_the_app()), merged_state(state(make_old_state), new_));
  EXPECT_TRUE(fs::exists(backup() / "of the app/note"));
  EXPECT_FALSE(fs::exists(backup() / "transaction"));
  EXPECT_EQ(run(recover_all).status, 0);
  EXPECT_TRUE(fs::exists(for_the_app() / "kept/changed"));
}

TEST_F(BackupDirectoryTest, what_is_not_kept_goes_with_the_restore) {
  ASSERT_EQ(run([&](BorrowedFd top) { return restore_for_the_app(top, false); }).status, 0);
  EXPECT_FALSE(fs::exists(backup()));
}

TEST_F(BackupDirectoryTest, a_restore_that_keeps_it_is_killed_anywhere) {
  kill([&](BorrowedFd top) { return restore_for_the_app(top, true); },
       [&] {
         check_whole();
         EXPECT_TRUE(fs::exists(for_the_app()));
         EXPECT_TRUE(fs::exists(backup() / "of the app/note"));
       });
}

TEST_F(BackupDirectoryTest, a_restore_that_clears_it_is_killed_anywhere) {
  kill([&](BorrowedFd top) { return restore_for_the_app(top, false); },
       [&] {
         check_whole();
         // Either it has not been committed, or all is gone.
         EXPECT_EQ(fs::exists(for_the_app()), fs::exists(backup()));
         if (!fs::exists(backup())) return;
         expect_same(tree_of(for_the_app()), state(make_old_state));
       });
}

TEST_F(BackupDirectoryTest, its_clearing_is_killed_anywhere) {
  kill(empty_backup_directory, [&] {
    check_whole();
    EXPECT_EQ(fs::exists(for_the_app()), fs::exists(backup()));
    EXPECT_EQ(fs::exists(backup() / "of the app/note"), fs::exists(backup()));
  });
}

// The mark is on the disk before the first thing goes, and the last of them before the mark goes.
TEST_F(BackupDirectoryTest, its_clearing_is_synced) {
  std::string order;
  for (const auto number : run(empty_backup_directory).order) {
    order += number == SYS_fsync ? 'F' : number == SYS_unlinkat ? 'U' : 'c';
  }
  EXPECT_TRUE(std::regex_match(order, std::regex("cFU+FU+c*"))) << order;
}

TEST_F(BackupDirectoryTest, where_there_is_none_none_is_made) {
  fs::remove_all(backup());
  EXPECT_EQ(run(empty_backup_directory).status, 0);
  EXPECT_FALSE(fs::exists(backup()));
}

// What an interrupted restore has received is for the next one.
TEST_F(BackupDirectoryTest, a_transaction_stays_where_the_rest_is_cleared) {
  {
    auto left = Transaction::begin(root(), {.is_resumable = true, .keeps_directory = true});
  }
  ASSERT_EQ(run(empty_backup_directory).status, 0);
  EXPECT_TRUE(fs::exists(backup() / "transaction/received"));
  EXPECT_FALSE(fs::exists(for_the_app()));
  EXPECT_FALSE(fs::exists(backup() / "of the app"));
  EXPECT_FALSE(fs::exists(backup() / "cleared"));
}

}  // namespace
}  // namespace backupkit
