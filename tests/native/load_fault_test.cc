// Restores of a few thousand entries whose processes are killed at random: the sandbox has wholly
// its old state afterwards, or wholly its new one. With BACKUPKIT_FAULTS=all 1,000 times.
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>

#include "tests/native/fault_run.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

const std::array<std::string, 3> kRoles{"--extension", "--embedded", "restore"};

class LoadFault : public FaultRun {
 protected:
  [[nodiscard]] int packing_limit() const override { return 4000; }

  void make_old(const fs::path& top) const override {
    make_many(top / "many", false);
    make_old_state(top);
  }
  void make_new(const fs::path& top) const override {
    make_many(top / "many", true);
    make_new_state(top);
  }

  // Of six entries two are the same in both states, two differ, one goes and one comes; every 50th
  // is a directory in the one and a file in the other.
  static void make_many(const fs::path& top, bool is_new) {
    const int count = visits_all() ? 3000 : 300;
    for (int number = 0; number < count; ++number) {
      const int kind = number % 6;
      if (kind == (is_new ? 0 : 1)) continue;
      const bool differs = is_new && (kind == 2 || kind == 3);
      auto path = top / std::to_string(number / 100) / std::to_string(number);
      if (number % 50 == 2 && is_new) path /= "inside";
      const size_t size = 1 + static_cast<size_t>(number) * 7919 % 8000;
      make_file(path, std::string(size, differs ? 'n' : 'o'));
      set_time(path, 1000 + number + (differs ? 1 : 0), number);
    }
  }
};

TEST_F(LoadFault, killed_at_random) {
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::array<size_t, kRoles.size()> calls{};
  for (size_t i = 0; i < kRoles.size(); ++i) {
    restore_old_state();
    const auto whole = run("restore", {{.role = kRoles[i], .what = {}}});
    ASSERT_EQ(whole.status, 0);
    check(true);
    calls[i] = whole.calls;
  }
  const size_t rounds = visits_all() ? 1000 : affordable(6);
  size_t kills = 0;
  size_t new_ones = 0;
  for (size_t round = 0; round < rounds; ++round) {
    const size_t victim = random() % kRoles.size();
    const size_t at = 1 + random() % calls[victim];
    SCOPED_TRACE(kRoles[victim] + " at its call " + std::to_string(at));
    restore_old_state();
    const auto broken = run("restore", {{kRoles[victim], 1, at, {}}});
    kills += broken.fired ? 1 : 0;
    new_ones += outcome(broken) ? 1 : 0;
    ASSERT_FALSE(HasFailure());
  }
  std::cout << rounds << " restores of " << new_.size() << " entries, " << kills << " kills, "
            << rounds - new_ones << " times old, " << new_ones << " times new, 0 times mixed; of "
            << calls[0] << ", " << calls[1] << " and " << calls[2] << " calls\n";
}

}  // namespace
}  // namespace backupkit
