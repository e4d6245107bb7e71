// A restore whose processes are killed, and whose system calls fail, at every single one. The
// sandbox has wholly its old state afterwards, or wholly its new one.
//
// Every point takes a while: by default each test visits a part of them, another one each time.
// With BACKUPKIT_FAULTS=all in the environment it visits all.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "tests/native/census.h"
#include "tests/native/tracer.h"
#include "tests/native/tree.h"
#include "tests/native/two_states.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

constexpr size_t kVisited = 40;  // points by default

class FaultTest : public Census {
 protected:
  void SetUp() override {
    Census::SetUp();
    scratch_.emplace(memory_directory());
    make_file(*scratch_ / "device/etc/backupkit/bundles/app.json",
              R"({"name": "app", "sandbox": "data/app",
                  "backup": {"allowToBackupRestore": true, "includes": ["*"]}})");
    make_file(*scratch_ / "device/etc/backupkit/service.json", R"({"packingLimit": 10})");
    make_new_state(sandbox());
    fs::create_directories(*scratch_ / "files");
    ASSERT_EQ(run("backup", {}).status, 0);
    fs::remove_all(sandbox());
    make_old_state(sandbox());
    old_ = tree_of(sandbox());
    whole_ = run("restore", {{"--extension", 1, SIZE_MAX, 0}});
    ASSERT_EQ(whole_.status, 0);
    new_ = tree_of(sandbox());
    EXPECT_NE(old_, new_);
  }

  void TearDown() override {
    scratch_.reset();
    Census::TearDown();
  }

  [[nodiscard]] fs::path sandbox() const { return *scratch_ / "device/data/app"; }

  [[nodiscard]] Traced run(const std::string& what, const std::vector<Fault>& faults) const {
    return run_traced(
        {BACKUPKIT_DRIVE, what, BACKUPKIT_BACKUPD, *scratch_ / "device", *scratch_ / "files"},
        faults);
  }

  void restore_old_state() {
    fs::remove_all(sandbox());
    make_old_state(sandbox());
  }

  // What is left to do by whoever comes next.
  void recover() const {
    const auto done =
        run_traced({BACKUPKIT_BACKUPD, "--recover", "--root", *scratch_ / "device"}, {});
    ASSERT_EQ(done.status, 0);
  }

  // One state or the other, wholly, and nothing else.
  void check(bool is_new) const {
    expect_same(tree_of(sandbox()), is_new ? new_ : old_);
    EXPECT_FALSE(fs::exists(sandbox() / ".backup"));
    EXPECT_TRUE(fs::is_empty(*scratch_ / "device/var/lib/backupkit/restores"));
  }

  [[nodiscard]] bool looks_new() const {
    std::ifstream file(sandbox() / "kept/changed");
    return std::string(std::istreambuf_iterator<char>(file), {}) == "new";
  }

  // The points to visit out of so many.
  static std::vector<size_t> points(size_t count) {
    const char* all = std::getenv("BACKUPKIT_FAULTS");
    std::vector<size_t> chosen;
    const size_t step = all != nullptr ? 1 : std::max<size_t>(1, count / kVisited);
    const size_t first = all != nullptr ? 1 : 1 + std::random_device()() % step;
    for (size_t at = first; at <= count; at += step) chosen.push_back(at);
    return chosen;
  }

  // Breaks a restore at the points of one process, and says what became of it.
  void break_restore(const std::string& role, int error) {
    const auto whole = run("restore", {{role, 1, SIZE_MAX, 0}});
    ASSERT_EQ(whole.status, 0);
    check(true);
    size_t visited = 0;
    size_t old_ones = 0;
    for (const auto at : points(whole.calls)) {
      SCOPED_TRACE(role + " at its call " + std::to_string(at));
      restore_old_state();
      const auto broken = run("restore", {{role, 1, at, error}});
      if (!broken.fired) continue;
      ++visited;
      const bool said_well = WIFEXITED(broken.status) && WEXITSTATUS(broken.status) == 0;
      const bool said_ill = WIFEXITED(broken.status) && WEXITSTATUS(broken.status) == 1;
      // Who has heard how it ended finds it so; the others have it ended now.
      if (!said_well && !said_ill) recover();
      const bool is_new = looks_new();
      if (said_well || said_ill) {
        EXPECT_EQ(is_new, said_well) << broken.last_call;
      }
      check(is_new);
      old_ones += is_new ? 0 : 1;
      if (visited % 8 == 0) {
        ASSERT_EQ(run("restore", {}).status, 0);
        check(true);
      }
      ASSERT_FALSE(HasFailure());
    }
    RecordProperty("points", static_cast<int>(visited));
    RecordProperty("old", static_cast<int>(old_ones));
    std::cout << visited << " of " << whole.calls << " points, " << old_ones << " times old, "
              << visited - old_ones << " times new\n";
  }

  std::optional<ScratchDirectory> scratch_;
  std::map<std::string, std::string> old_;
  std::map<std::string, std::string> new_;
  Traced whole_;  // of a restore that nothing disturbs
};

TEST_F(FaultTest, an_extension_killed_anywhere) { break_restore("--extension", 0); }
TEST_F(FaultTest, a_service_killed_anywhere) { break_restore("--embedded", 0); }
TEST_F(FaultTest, a_client_killed_anywhere) { break_restore("restore", 0); }

TEST_F(FaultTest, a_recovery_killed_anywhere) {
  size_t visited = 0;
  std::mt19937 random(std::random_device{}());
  // The service dies while the extension is in its last third, the commit, and so does that.
  for (size_t round = 0; round < kVisited; ++round) {
    restore_old_state();
    const auto at = whole_.calls - random() % (whole_.calls / 3);
    const auto broken =
        run("restore", {{"--extension", 1, at, 0}, {"--extension", 2, 1 + random() % 200, 0}});
    SCOPED_TRACE("at its call " + std::to_string(at));
    ++visited;
    const bool said_well = WIFEXITED(broken.status) && WEXITSTATUS(broken.status) == 0;
    recover();
    check(looks_new());
    if (said_well) {
      EXPECT_TRUE(looks_new());
    }
    ASSERT_FALSE(HasFailure());
  }
  std::cout << visited << " pairs of points\n";
}

TEST_F(FaultTest, no_space_anywhere) {
  if (!can_inject_errors()) GTEST_SKIP() << "errors are put in on x86-64 only";
  break_restore("--extension", ENOSPC);
}

TEST_F(FaultTest, a_bad_disk_anywhere) {
  if (!can_inject_errors()) GTEST_SKIP() << "errors are put in on x86-64 only";
  break_restore("--extension", EIO);
}

TEST_F(FaultTest, no_descriptor_anywhere) {
  if (!can_inject_errors()) GTEST_SKIP() << "errors are put in on x86-64 only";
  break_restore("--extension", EMFILE);
}

}  // namespace
}  // namespace backupkit
