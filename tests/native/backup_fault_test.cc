// A backup whose extension is killed, and whose system calls fail, at every single one: nothing of
// the sandbox changes, the service goes on, and its next backup is a good one.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cerrno>
#include <filesystem>
#include <iostream>
#include <string>

#include "tests/native/fault_run.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExtension = "--extension";

class BackupFault : public FaultRun {
 protected:
  // What is backed up has extended attributes, and is deeper than directories are held open.
  void make_old(const fs::path& top) const override {
    auto path = top / "deep";
    for (int depth = 0; depth < 70; ++depth) path /= "d";
    for (; path != top; path = path.parent_path()) make_file(path / "file", "old");
    make_new_state(top);
  }
  void make_new(const fs::path& top) const override { make_old_state(top); }

  void break_backup(Break what) {
    if (what.kind != Break::Kind::kKill && !can_change_calls()) {
      GTEST_SKIP() << "calls are changed on x86-64 only";
    }
    restore_old_state();
    const auto whole = run("backup", {{.role = kExtension, .what = what}}, {"broken"});
    ASSERT_EQ(whole.status, 0);
    check_backup("broken");
    size_t visited = 0;
    size_t good_ones = 0;
    for (const auto at : points(whole.calls, kVisited / 2)) {
      SCOPED_TRACE("at its call " + std::to_string(at));
      const auto before = inodes_of(sandbox());
      for (const auto* folder : {"broken", "next"}) fs::remove_all(*scratch_ / folder);
      const auto broken = run("backup", {{kExtension, 1, at, what}}, {"broken", "next"});
      if (!broken.fired) continue;
      ++visited;
      EXPECT_FALSE(broken.hung || broken.crashed);
      expect_same(inodes_of(sandbox()), before);
      ASSERT_TRUE(WIFEXITED(broken.status));
      const int code = WEXITSTATUS(broken.status);
      ASSERT_TRUE(code == kWell || code == kEarlierIll) << code << " at " << broken.last_call;
      if (code == kWell) check_backup("broken");
      if (code == kWell || visited % 8 == 0) check_backup("next");
      good_ones += code == kWell ? 1 : 0;
      ASSERT_FALSE(HasFailure()) << "system call " << broken.last_call;
    }
    std::cout << visited << " of " << whole.calls << " points, " << good_ones
              << " good backups all the same\n";
  }

  // Restores the sandbox from a backup.
  void check_backup(const std::string& folder) {
    SCOPED_TRACE("from " + folder);
    fs::remove_all(sandbox());
    fs::create_directories(sandbox());
    ASSERT_EQ(run("restore", {}, {folder}).status, 0) << folder;
    expect_same(tree_of(sandbox()), old_);
  }
};

TEST_F(BackupFault, an_extension_killed_anywhere) { break_backup({}); }
TEST_F(BackupFault, no_space_anywhere) { break_backup(failing(ENOSPC)); }
TEST_F(BackupFault, a_bad_disk_anywhere) { break_backup(failing(EIO)); }
TEST_F(BackupFault, no_descriptor_anywhere) { break_backup(failing(EMFILE)); }
TEST_F(BackupFault, a_signal_anywhere) { break_backup(failing(EINTR)); }

}  // namespace
}  // namespace backupkit
