// A device with one bundle whose sandbox has the old of two states, and a backup of the new one;
// and what restores and backups leave of it when their processes are broken.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/native/census.h"
#include "tests/native/points.h"
#include "tests/native/tracer.h"
#include "tests/native/tree.h"
#include "tests/native/two_states.h"

namespace backupkit {

class FaultRun : public Census {
 protected:
  static constexpr size_t kVisited = 25;  // points by default

  // The exit codes of the program drive.
  static constexpr int kWell = 0;
  static constexpr int kIll = 1;
  static constexpr int kEarlierIll = 4;

  void SetUp() override {
    Census::SetUp();
    scratch_.emplace(memory_directory());
    make_file(*scratch_ / "device/etc/backupkit/bundles/app.json",
              R"({"name": "app", "sandbox": "data/app",
                  "backup": {"allowToBackupRestore": true, "includes": ["*"]}})");
    make_file(*scratch_ / "device/etc/backupkit/service.json",
              R"({"maxSendRate": 0, "packingLimit": )" + std::to_string(packing_limit()) + "}");
    make_new(sandbox());
    ASSERT_EQ(run("backup", {}).status, 0);
    std::filesystem::remove_all(sandbox());
    make_old(sandbox());
    old_ = tree_of(sandbox());
    ASSERT_EQ(run("restore", {}).status, 0);
    new_ = tree_of(sandbox());
    EXPECT_NE(old_, new_);
  }

  void TearDown() override {
    scratch_.reset();
    Census::TearDown();
  }

  [[nodiscard]] virtual int packing_limit() const { return 10; }
  virtual void make_old(const std::filesystem::path& top) const { make_old_state(top); }
  virtual void make_new(const std::filesystem::path& top) const { make_new_state(top); }

  [[nodiscard]] std::filesystem::path sandbox() const { return *scratch_ / "device/data/app"; }

  // What `drive` says, with its files in those folders.
  [[nodiscard]] Traced run(const std::string& what, const std::vector<Fault>& faults,
                           const std::vector<std::string>& folders = {"files"}) const {
    std::vector<std::string> command{BACKUPKIT_DRIVE, what, BACKUPKIT_BACKUPD,
                                     *scratch_ / "device"};
    for (const auto& folder : folders) {
      std::filesystem::create_directories(*scratch_ / folder);
      command.push_back(*scratch_ / folder);
    }
    return run_traced(command, faults);
  }

  void restore_old_state() {
    std::filesystem::remove_all(sandbox());
    make_old(sandbox());
  }

  // What is left to do by whoever comes next.
  [[nodiscard]] Traced recover_with(const std::vector<Fault>& faults) const {
    return run_traced({BACKUPKIT_BACKUPD, "--recover", "--root", *scratch_ / "device"}, faults);
  }
  void recover() const { ASSERT_EQ(recover_with({}).status, 0); }

  // One state or the other, wholly, and nothing else.
  void check(bool is_new) const {
    expect_same(tree_of(sandbox()), is_new ? new_ : old_);
    EXPECT_FALSE(std::filesystem::exists(sandbox() / ".backup"));
    EXPECT_TRUE(std::filesystem::is_empty(*scratch_ / "device/var/lib/backupkit/restores"));
  }

  [[nodiscard]] bool looks_new() const {
    std::ifstream file(sandbox() / "kept/changed");
    return std::string(std::istreambuf_iterator<char>(file), {}) == "new";
  }

  // What has become of a restore: `drive` has said it, or it is ended now, and then it is all the
  // same. True: the new state.
  [[nodiscard]] bool outcome(const Traced& broken) const {
    const int code = WIFEXITED(broken.status) ? WEXITSTATUS(broken.status) : -1;
    const bool said = code == kWell || code == kIll;
    EXPECT_FALSE(broken.crashed) << "system call " << broken.last_call;
    EXPECT_FALSE(broken.hung) << "system call " << broken.last_call;
    const bool was_new = looks_new();
    if (said) {
      EXPECT_EQ(was_new, code == kWell) << "system call " << broken.last_call;
      expect_same(tree_of(sandbox()), was_new ? new_ : old_);
    }
    recover();  // after it has been said, no more than notes are left
    const bool is_new = looks_new();
    EXPECT_TRUE(!said || is_new == was_new);
    check(is_new);
    return is_new;
  }

  std::optional<ScratchDirectory> scratch_;
  std::map<std::string, std::string> old_;
  std::map<std::string, std::string> new_;
};

}  // namespace backupkit
