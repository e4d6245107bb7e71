#include "native/io/mounts.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "native/io/path.h"
#include "tests/native/census.h"
#include "tests/native/tree.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

class MountsTest : public Census {
 protected:
  void SetUp() override {
    Census::SetUp();
    if (::geteuid() != 0) GTEST_SKIP() << "only root can mount a file system";
    scratch_.emplace(memory_directory());
    make_file(top() / "inner/file", "inside");
    fs::create_directories(top() / "deep/a b\\c\n/bound");
    fs::create_directories(top() / "deep/other");
    make_file(*scratch_ / "outside/kept", "outside");
    mount_at(top() / "deep/a b\\c\n/bound", *scratch_ / "outside", nullptr, MS_BIND);
    mount_at(top() / "deep/other", "none", "tmpfs", 0);
    make_file(top() / "deep/other/kept", "on another file system");
    root_.reset(::open(top().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }

  void TearDown() override {
    root_.reset();
    for (const auto& place : mounted_) EXPECT_EQ(::umount2(place.c_str(), MNT_DETACH), 0);
    scratch_.reset();
    Census::TearDown();
  }

  void mount_at(const fs::path& place, const fs::path& what, const char* type,
                unsigned long flags) {
    ASSERT_EQ(::mount(what.c_str(), place.c_str(), type, flags, nullptr), 0) << errno;
    mounted_.push_back(place);
  }

  [[nodiscard]] fs::path top() const { return *scratch_ / "top"; }

  std::optional<ScratchDirectory> scratch_;
  std::vector<fs::path> mounted_;
  UniqueFd root_;
};

TEST_F(MountsTest, all_kinds_are_found_by_their_place) {
  auto found = mounts_below(root_.borrow());
  ASSERT_TRUE(found.has_value());
  std::ranges::sort(*found);
  EXPECT_EQ(*found, (std::vector<std::string>{"deep/a b\\c\n/bound", "deep/other"}));
  const UniqueFd inner(::open((top() / "inner").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_TRUE(mounts_below(inner.borrow()).value().empty());
}

TEST_F(MountsTest, a_directory_tells_whether_it_is_one) {
  for (const auto& [path, is] : std::map<std::string, bool>{{"inner", false},
                                                            {"deep", false},
                                                            {"deep/other", true},
                                                            {"deep/a b\\c\n/bound", true}}) {
    const UniqueFd opened(::open((top() / path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    EXPECT_EQ(is_mount(opened.borrow()).value(), is) << path;
  }
}

TEST_F(MountsTest, what_is_mounted_is_never_removed_with_what_is_around_it) {
  for (const char* name : {"a b\\c\n", "other"}) {
    const UniqueFd deep(::open((top() / "deep").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const auto removed = remove_tree(deep.borrow(), name);
    ASSERT_FALSE(removed.has_value());
    EXPECT_EQ(removed.error().sys_errno, EBUSY);
  }
  EXPECT_TRUE(fs::exists(*scratch_ / "outside/kept"));
  EXPECT_TRUE(fs::exists(top() / "deep/other/kept"));
}

}  // namespace
}  // namespace backupkit
