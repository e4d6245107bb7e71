// A recovery that is killed, and the recovery after it, too: whatever a killed commit has left, in
// the end the sandbox has wholly its old state or wholly its new one, the one that was decided on,
// and nothing else is left.
//
// The journal names inodes, so an interrupted sandbox cannot be copied: each point is reached anew,
// by a commit that is killed there. What is killed are children of the test, which use the
// transaction as the extension does: all that is not there is its calls before and after. They are
// killed before each call that may change something; before another one everything is as it is
// before the next such, which is tested, too.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "tests/native/points.h"
#include "tests/native/tracer.h"
#include "tests/native/transaction_run.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kNobody = 65534;
constexpr int64_t kStatesEnd = 1'000'000'000;  // all times of both states are earlier
constexpr int kFailed = 100;                   // exit status; below it is a Recovered
constexpr Break kKillAtChange{Break::Kind::kKillAtChange};

enum class Way { kOn, kBack, kAppRefuses };

// Whose the sandbox is. One without privilege has directories that it may not write.
struct Owner {
  const char* name;
  bool is_root;
};

// The rights of the sandbox's owner, as far as this process can take and give back others.
class AsOwner {
 public:
  explicit AsOwner(bool is_root) : changes_(!is_root && ::geteuid() == 0) {
    if (changes_ && (::setegid(kNobody) != 0 || ::seteuid(kNobody) != 0)) std::abort();
  }
  ~AsOwner() {
    if (changes_ && (::seteuid(0) != 0 || ::setegid(0) != 0)) std::abort();
  }
  AsOwner(const AsOwner&) = delete;
  AsOwner& operator=(const AsOwner&) = delete;

 private:
  bool changes_;
};

class RecoveryFault : public TransactionRun, public ::testing::WithParamInterface<Owner> {
 protected:
  void SetUp() override {
    if (GetParam().is_root && ::geteuid() != 0) GTEST_SKIP() << "this is not root";
    TransactionRun::SetUp();
  }

  void make_old(const fs::path& top) const override {
    make_old_state(top);
    give(top, {"kept/deep/er", "only old", "types/directory-file", "types/directory-directory"});
  }
  void make_new(const fs::path& top) const override {
    make_new_state(top);
    give(top, {"kept/deep/er", "only new/a", "types/file-directory", "types/directory-directory"});
  }

  // Makes the sandbox its owner's, and locks some directories for one that is not root.
  static void give(const fs::path& top, std::initializer_list<const char*> locked) {
    if (GetParam().is_root) return;
    if (::geteuid() == 0) {
      ASSERT_EQ(::lchown(top.c_str(), kNobody, kNobody), 0);
      for (const auto& entry : fs::recursive_directory_iterator(top)) {
        ASSERT_EQ(::lchown(entry.path().c_str(), kNobody, kNobody), 0);
      }
    }
    for (const auto* path : locked) ASSERT_EQ(::chmod((top / path).c_str(), 0500), 0);
  }

  // Leaves the sandbox as a commit does that is killed before one of its changes.
  Traced interrupt(size_t at) {
    const auto sandbox_fd = root();
    const AsOwner owner(GetParam().is_root);
    auto prepared = prepare(sandbox_fd, true);
    return run_traced(
        [&] {
          const bool done = prepared.transaction.commit(prepared.journal).has_value();
          return done && prepared.transaction.finish() ? 0 : kFailed;
        },
        at, kKillAtChange);
  }

  Traced recover_until(Way way, size_t at, Break what) {
    const auto sandbox_fd = root();
    const AsOwner owner(GetParam().is_root);
    const auto restored = [&](const std::string&) -> Result<void> {
      if (way == Way::kAppRefuses) return failure(Code::kExtensionThrew, "no");
      return {};
    };
    return run_traced(
        [&] {
          const auto done = recover(sandbox_fd, {.undoes = way == Way::kBack}, restored);
          return done ? static_cast<int>(*done) : kFailed;
        },
        at, what);
  }

  // What an undisturbed recovery is to make of what is left: the new state?
  [[nodiscard]] bool leads_to_new(Way way) const {
    const auto transaction = sandbox() / ".backup/transaction";
    if (fs::exists(transaction / "undo")) return false;
    if (fs::exists(transaction / "journal")) return way == Way::kOn;
    return !fs::exists(transaction) && is_new(tree_of(sandbox()));
  }

  [[nodiscard]] bool is_new(const Tree& tree) const {
    return tree.at("kept/changed") == new_.at("kept/changed");
  }

  // Ends what is left: who was to go back may not have come to say so, and goes on. The next
  // interrupt() begins from the old state. True: this gave the new one.
  bool end(Way way) {
    if (way == Way::kBack) way = Way::kOn;
    const bool wanted = leads_to_new(way);
    const auto done = recover_until(way, kNoCall, kKillAtChange);
    EXPECT_TRUE(WIFEXITED(done.status));
    const auto became = static_cast<Recovered>(WEXITSTATUS(done.status));
    const auto tree = tree_of(sandbox());
    EXPECT_EQ(is_new(tree), wanted);
    expect_same(tree, wanted ? new_ : old_);
    EXPECT_FALSE(fs::exists(sandbox() / ".backup"));
    EXPECT_TRUE(became == Recovered::kNothing || wanted == (became == Recovered::kCompleted))
        << WEXITSTATUS(done.status);
    ++ends_;
    if (!wanted && tree == old_) return false;
    fs::remove_all(sandbox());
    make_old(sandbox());
    return wanted;
  }

  // What a commit can leave: as many states as it makes changes.
  size_t count_states() {
    const auto whole = interrupt(kNoCall);
    EXPECT_EQ(whole.status, 0);
    EXPECT_TRUE(end(Way::kOn));
    return whole.calls;
  }

  void for_each(const std::vector<size_t>& states, const std::function<void(Way, size_t)>& visit) {
    for (const auto way : {Way::kOn, Way::kBack, Way::kAppRefuses}) {
      for (const auto state : states) {
        SCOPED_TRACE("state " + std::to_string(state) + ", way " +
                     std::to_string(static_cast<int>(way)));
        visit(way, state);
        ASSERT_FALSE(HasFailure());
      }
    }
  }

  void kill_once(Way way, size_t state);
  void kill_twice(Way way, size_t state);

  // All that does not differ from one time to the next, for other inodes and times.
  [[nodiscard]] Tree left_tree() const {
    Tree left;
    for (const auto& [path, text] : tree_of(sandbox())) {
      const bool is_ours = path.starts_with(".backup");
      const auto seconds =
          path == "." ? 0 : std::stoll(text.substr(text.find(' ', text.find(' ') + 1)));
      const bool is_now = seconds > kStatesEnd;
      left[path] = is_ours || is_now ? text.substr(0, text.find(' ')) : text;
    }
    return left;
  }

  void print(const std::string& what, size_t states) const {
    std::cout << what << ": " << states << " states, " << kills_ << " kills of recoveries, "
              << ends_ << " ends\n";
  }

  size_t kills_ = 0;
  size_t ends_ = 0;
};

// Kills the recovery of a state before its changes.
void RecoveryFault::kill_once(Way way, size_t state) {
  (void)interrupt(state);
  const bool wanted = leads_to_new(way);
  const auto whole = recover_until(way, kNoCall, kKillAtChange);
  EXPECT_EQ(end(way), wanted);
  for (const auto at : points(whole.calls, 6)) {
    SCOPED_TRACE("before its change " + std::to_string(at));
    ASSERT_TRUE(interrupt(state).fired);
    ASSERT_TRUE(recover_until(way, at, kKillAtChange).fired);
    ++kills_;
    EXPECT_TRUE(end(way) == wanted || way == Way::kBack);
    ASSERT_FALSE(HasFailure());
  }
}

// Likewise, and then the next recovery before its own changes.
void RecoveryFault::kill_twice(Way way, size_t state) {
  (void)interrupt(state);
  const bool wanted = leads_to_new(way);
  const auto whole = recover_until(way, kNoCall, kKillAtChange);
  EXPECT_EQ(end(way), wanted);
  for (const auto first : points(whole.calls, 4)) {
    ASSERT_TRUE(interrupt(state).fired);
    ASSERT_TRUE(recover_until(way, first, kKillAtChange).fired);
    const auto next = recover_until(way, kNoCall, kKillAtChange);
    (void)end(way);
    for (const auto second : points(next.calls, 4, 16)) {
      SCOPED_TRACE("before its changes " + std::to_string(first) + ", " + std::to_string(second));
      ASSERT_TRUE(interrupt(state).fired);
      ASSERT_TRUE(recover_until(way, first, kKillAtChange).fired);
      ASSERT_TRUE(recover_until(way, second, kKillAtChange).fired);
      kills_ += 2;
      EXPECT_TRUE(end(way) == wanted || way == Way::kBack);
      ASSERT_FALSE(HasFailure());
    }
  }
}

TEST_P(RecoveryFault, killed_anywhere) {
  const auto states = points(count_states(), 4, GetParam().is_root ? SIZE_MAX : 40);
  for_each(states, [&](Way way, size_t state) { kill_once(way, state); });
  print("one kill", states.size());
}

// All pairs would take hours.
TEST_P(RecoveryFault, and_the_next_one_too) {
  const auto states = points(count_states(), 1, GetParam().is_root ? 8 : 4);
  for_each(states, [&](Way way, size_t state) { kill_twice(way, state); });
  print("two kills", states.size());
}

// Each gets one change further than the one before.
TEST_P(RecoveryFault, killed_again_and_again) {
  const auto states = points(count_states(), 2);
  for_each(states, [&](Way way, size_t state) {
    ASSERT_TRUE(interrupt(state).fired);
    const bool wanted = leads_to_new(way);
    for (size_t at = 1; recover_until(way, at, kKillAtChange).fired; ++at) ++kills_;
    EXPECT_EQ(end(way), wanted);
  });
  print("chains of kills", states.size());
}

// What the others stand on: killed at any call, a recovery has left what it leaves when it is
// killed before the next change.
TEST_P(RecoveryFault, a_call_that_only_looks_changes_nothing) {
  const auto states = points(count_states(), 1, 4);
  for_each(states, [&](Way way, size_t state) {
    (void)interrupt(state);
    const auto whole = recover_until(way, kNoCall, {});
    (void)end(way);
    std::map<size_t, Tree> before_change;
    for (const auto at : points(whole.calls, 8)) {
      SCOPED_TRACE("at its call " + std::to_string(at));
      ASSERT_TRUE(interrupt(state).fired);
      const auto change = recover_until(way, at, {}).changes + 1;
      const auto left = left_tree();
      (void)end(way);
      auto& wanted = before_change[change];
      if (wanted.empty()) {
        ASSERT_TRUE(interrupt(state).fired);
        // Behind the last change it is as one that came to its end.
        ASSERT_EQ(recover_until(way, change, kKillAtChange).fired, change <= whole.changes);
        wanted = left_tree();
        (void)end(way);
      }
      expect_same(left, wanted);
      ++kills_;
      ASSERT_FALSE(HasFailure());
    }
  });
  print("kills at any call", states.size());
}

INSTANTIATE_TEST_SUITE_P(, RecoveryFault,
                         ::testing::Values(Owner{"of_root", true},
                                           Owner{"of_an_owner_without_privilege", false}),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace backupkit
