// A restore whose processes are killed, and whose system calls fail, at every
// single one. The sandbox has wholly its old state afterwards, or wholly its
// new one.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cerrno>
#include <iostream>
#include <random>
#include <string>

#include "tests/native/fault_run.h"

namespace backupkit {
namespace {

constexpr const char* kExtension = "--extension";
constexpr const char* kService = "--embedded";
constexpr const char* kClient = "restore";
constexpr const char* kGivingClient = "restore-given";

class FaultTest : public FaultRun {
 protected:
  // Breaks a restore at the points of one process, and says what became of it.
  // `always_new`: whatever happens to it, it goes well. `way`: what drive is asked for.
  void break_restore(const std::string& role, Break what, bool always_new = false,
                     const std::string& way = "restore") {
    if (what.kind != Break::Kind::kKill && !can_change_calls()) {
      GTEST_SKIP() << "calls are changed on x86-64 only";
    }
    if (always_new && kSanitized) GTEST_SKIP() << "a sanitizer does not ask for the rest";
    restore_old_state();
    const auto whole = run(way, {{.role = role, .what = what}});
    ASSERT_EQ(whole.status, 0);
    check(true);
    size_t visited = 0;
    size_t old_ones = 0;
    for (const auto at : points(whole.calls, kVisited)) {
      SCOPED_TRACE(role + " at its call " + std::to_string(at));
      restore_old_state();
      const auto broken = run(way, {{role, 1, at, what}});
      if (!broken.fired) continue;
      ++visited;
      const bool is_new = outcome(broken);
      EXPECT_TRUE(is_new || !always_new) << "system call " << broken.last_call;
      old_ones += is_new ? 0 : 1;
      if (visited % 8 == 0) {
        ASSERT_EQ(run(way, {}).status, 0);
        check(true);
      }
      ASSERT_FALSE(HasFailure());
    }
    std::cout << visited << " of " << whole.calls << " points, " << old_ones << " times old, "
              << visited - old_ones << " times new\n";
  }
};

TEST_F(FaultTest, an_extension_killed_anywhere) { break_restore(kExtension, {}); }
TEST_F(FaultTest, a_service_killed_anywhere) { break_restore(kService, {}); }
TEST_F(FaultTest, a_client_killed_anywhere) { break_restore(kClient, {}); }

// The service undoes what its extension has left; it dies in that, and so does
// whoever comes next.
TEST_F(FaultTest, a_recovery_killed_anywhere) {
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto calls = run("restore", {{.role = kExtension}}).calls;
  size_t kills = 0;
  const size_t rounds = visits_all() ? 1000 : affordable(kVisited);
  for (size_t round = 0; round < rounds; ++round) {
    restore_old_state();
    const auto at = calls - random() % (calls / 3);  // the commit
    SCOPED_TRACE("at its call " + std::to_string(at));
    const auto broken = run("restore", {{kExtension, 1, at}, {kExtension, 2, 1 + random() % 300}});
    const bool said_well = WIFEXITED(broken.status) && WEXITSTATUS(broken.status) == kWell;
    const auto next = recover_with({{kExtension, 1, 1 + random() % 300}});
    kills += 1 + (broken.fired ? 1 : 0) + (next.fired ? 1 : 0);
    recover();
    check(looks_new());
    EXPECT_TRUE(looks_new() || !said_well);
    ASSERT_FALSE(HasFailure());
  }
  std::cout << rounds << " restores, " << kills << " kills\n";
}

TEST_F(FaultTest, no_space_anywhere) { break_restore(kExtension, failing(ENOSPC)); }
TEST_F(FaultTest, a_bad_disk_anywhere) { break_restore(kExtension, failing(EIO)); }
TEST_F(FaultTest, no_descriptor_anywhere) { break_restore(kExtension, failing(EMFILE)); }

TEST_F(FaultTest, no_space_for_the_service) { break_restore(kService, failing(ENOSPC)); }
TEST_F(FaultTest, a_bad_disk_for_the_service) { break_restore(kService, failing(EIO)); }
TEST_F(FaultTest, no_descriptor_for_the_service) { break_restore(kService, failing(EMFILE)); }

TEST_F(FaultTest, no_space_for_the_client) { break_restore(kClient, failing(ENOSPC)); }
TEST_F(FaultTest, a_bad_disk_for_the_client) { break_restore(kClient, failing(EIO)); }
TEST_F(FaultTest, no_descriptor_for_the_client) { break_restore(kClient, failing(EMFILE)); }

TEST_F(FaultTest, a_signal_anywhere) { break_restore(kExtension, failing(EINTR)); }

// Whoever asks for the rest gets it.
TEST_F(FaultTest, one_byte_instead_of_many) {
  break_restore(kExtension, {Break::Kind::kCutToOne}, true);
}
TEST_F(FaultTest, half_of_what_was_asked_for) {
  break_restore(kExtension, {Break::Kind::kCutToHalf}, true);
}

TEST_F(FaultTest, parts_given_as_they_are) {
  for (const auto* role : {kExtension, kService, kGivingClient}) {
    break_restore(role, {}, false, kGivingClient);
    break_restore(role, failing(EMFILE), false, kGivingClient);
  }
  break_restore(kExtension, failing(EIO), false, kGivingClient);
}

TEST_F(FaultTest, never_all_that_was_asked_for) {
  if (!can_change_calls() || kSanitized) GTEST_SKIP() << "as above";
  const Break what{visits_all() ? Break::Kind::kCutToOne : Break::Kind::kCutToHalf};
  restore_old_state();
  const auto cut = run("restore", {{kExtension, 1, kEveryCall, what}});
  EXPECT_TRUE(cut.fired);
  EXPECT_TRUE(outcome(cut));
  std::cout << cut.calls << " calls\n";
}

}  // namespace
}  // namespace backupkit
