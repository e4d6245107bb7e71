// Restores while somebody swaps a directory of the sandbox, or one that the restore works in, with
// a symbolic link that leads out of it, there and back, as fast as it goes: nothing outside
// changes, and each restore ends well or with an error. With BACKUPKIT_FAULTS=all 100,000 swaps.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "native/io/path.h"
#include "tests/native/fault_run.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLink = "link";

const std::array<std::string, 9> kPlaces{"kept",
                                         "types/directory-directory",
                                         "kept/deep/er",
                                         ".backup",
                                         ".backup/transaction",
                                         ".backup/transaction/new",
                                         ".backup/transaction/gone",
                                         ".backup/transaction/new/kept",
                                         ".backup/transaction/new/only new"};
const std::array<std::chrono::microseconds, 4> kPauses{
    std::chrono::microseconds(0), std::chrono::microseconds(10), std::chrono::microseconds(100),
    std::chrono::microseconds(1000)};

// Swaps a place below a directory with the link in it, from its begin to its end.
class Swapper {
 public:
  Swapper(BorrowedFd sandbox, std::string place, std::chrono::microseconds pause)
      : sandbox_(sandbox), place_(std::move(place)), pause_(pause), thread_([this] { run(); }) {}
  Swapper(const Swapper&) = delete;
  Swapper& operator=(const Swapper&) = delete;
  ~Swapper() {
    if (thread_.joinable()) (void)end();
  }

  // How often it has swapped them.
  size_t end() {
    ended_ = true;
    thread_.join();
    return swaps_;
  }

 private:
  void run() {
    const fs::path place(place_);
    const auto folder = place.has_parent_path() ? place.parent_path().string() : ".";
    while (!ended_) {
      // Itself it must not follow a link either.
      const auto parent = open_beneath(sandbox_, folder, O_PATH | O_DIRECTORY);
      if (parent && ::renameat2(parent->get(), place.filename().c_str(), sandbox_.get(), kLink,
                                RENAME_EXCHANGE) == 0) {
        ++swaps_;
      }
      const auto until = std::chrono::steady_clock::now() + pause_;
      while (std::chrono::steady_clock::now() < until) std::this_thread::yield();
    }
  }

  BorrowedFd sandbox_;
  std::string place_;
  std::chrono::microseconds pause_;
  size_t swaps_ = 0;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

class SwapTest : public FaultRun {
 protected:
  void SetUp() override {
    FaultRun::SetUp();
    make_old_state(outside());
    for (const auto& place : kPlaces) {
      make_file(outside() / place / "changed", "of others");
    }
  }

  [[nodiscard]] fs::path outside() const { return *scratch_ / "outside"; }

  // One restore, and how often it met a swap.
  size_t attack(const std::string& place, std::chrono::microseconds pause) {
    restore_old_state();
    fs::create_directory_symlink(outside() / place, sandbox() / kLink);
    const UniqueFd top(::open(sandbox().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    Swapper swapper(top.borrow(), place, pause);
    const auto done = run("restore", {});
    const auto swaps = swapper.end();
    EXPECT_FALSE(done.hung);
    EXPECT_FALSE(done.crashed);
    EXPECT_TRUE(WIFEXITED(done.status));
    const int code = WEXITSTATUS(done.status);
    EXPECT_TRUE(code == kWell || code == kIll) << code;
    (code == kWell ? well_ : ill_) += 1;
    if (!place.starts_with(".backup")) check_rest(place, code == kWell);
    return swaps;
  }

  // Beside the place all is wholly old, or wholly new, when it is left alone.
  void check_rest(const std::string& place, bool must_be_new) {
    if (fs::is_symlink(sandbox() / place) && fs::is_directory(sandbox() / kLink)) {
      fs::remove(sandbox() / place);
      fs::rename(sandbox() / kLink, sandbox() / place);
    }
    recover();
    EXPECT_FALSE(fs::exists(sandbox() / ".backup"));
    const auto rest = [&](std::map<std::string, std::string> tree) {
      std::erase_if(tree, [&](const auto& entry) {
        const auto& path = entry.first;
        return path.starts_with(place) || path == fs::path(place).parent_path() ||
               path.starts_with(kLink);
      });
      return tree;
    };
    const auto is = rest(tree_of(sandbox()));
    if (must_be_new || is != rest(old_)) expect_same(is, rest(new_));
  }

  size_t well_ = 0;
  size_t ill_ = 0;
};

TEST_F(SwapTest, nothing_outside_is_written) {
  const auto before = inodes_of(outside());
  const size_t wanted = visits_all() ? 100'000 : 2'000;
  const size_t rounds = visits_all() ? 20 * kPauses.size() : affordable(kPauses.size());
  const size_t least = rounds * kPlaces.size();
  size_t swaps = 0;
  size_t restores = 0;
  std::map<std::string, size_t> swapped;
  for (; swaps < wanted || restores < least; ++restores) {
    const auto& place = kPlaces[restores % kPlaces.size()];
    const auto pause = kPauses[restores / kPlaces.size() % kPauses.size()];
    SCOPED_TRACE(place + ", every " + std::to_string(pause.count()) + " us");
    const auto met = attack(place, pause);
    swaps += met;
    swapped[place] += met;
    expect_same(inodes_of(outside()), before);
    ASSERT_FALSE(HasFailure());
  }
  restore_old_state();
  ASSERT_EQ(run("restore", {}).status, 0);
  check(true);
  expect_same(inodes_of(outside()), before);
  for (const auto& place : kPlaces) {
    EXPECT_TRUE(swapped[place] > 0 || !visits_all()) << place;
    std::cout << swapped[place] << " of " << place << "\n";
  }
  std::cout << swaps << " swaps, " << restores << " restores, " << well_ << " well, " << ill_
            << " with an error\n";
}

}  // namespace
}  // namespace backupkit
