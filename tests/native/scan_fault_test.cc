// A walk whose system calls fail, at every single one: what it does not see it says.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "native/manifest/moved_scan.h"
#include "tests/native/census.h"
#include "tests/native/said.h"
#include "tests/native/tracer.h"
#include "tests/native/tree.h"

namespace backupkit {
namespace {

class ScanFault : public Census {
 protected:
  // Deeper than directories are held open, with something to go back for at each depth.
  void SetUp() override {
    Census::SetUp();
    std::filesystem::path path = top_.path();
    for (int depth = 0; depth < 70; ++depth) path /= "b";
    for (; path != top_.path(); path = path.parent_path()) {
      make_file(path / "a", "before");
      make_file(path / "c", "behind");
    }
    entries_ = tree_of(top_.path()).size();
  }

  // Walks with some directories moved, and says whether it saw all.
  [[nodiscard]] int walk(const std::vector<Move>& moved) const {
    size_t visited = 0;
    bool said = false;
    const auto visit = [&](const ScanEntry&) -> Result<void> {
      ++visited;
      return {};
    };
    const auto miss = [&](const Missed& missed) -> Result<void> {
      said |= missed.fate == Fate::kUnreadable;
      return {};
    };
    const auto rules = Rules::make({"*"}, {});
    const auto moves = effective_moves(top_.fd(), rules, moved);
    if (!moves || !scan_moved(top_.fd(), rules, *moves, {visit, miss}) || said) return kSaid;
    return visited == entries_ ? kSeen : kSilent;
  }

  ScratchDirectory top_{memory_directory()};
  size_t entries_ = 0;
};

TEST_F(ScanFault, what_a_failed_call_hides_is_said) {
  if (!can_change_calls()) GTEST_SKIP() << "calls are changed on x86-64 only";
  expect_said([this] { return walk({}); }, 40);
}

TEST_F(ScanFault, nor_of_what_is_stored_under_another_path) {
  if (!can_change_calls()) GTEST_SKIP() << "calls are changed on x86-64 only";
  expect_said([this] { return walk({{"b/b", "b/a.moved"}, {"b/b/b/b", "b/a.moved/b/b"}}); }, 40);
}

}  // namespace
}  // namespace backupkit
