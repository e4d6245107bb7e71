#include "native/manifest/sorted_names.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "native/io/tmpfile.h"
#include "tests/native/census.h"
#include "tests/native/points.h"
#include "tests/native/said.h"
#include "tests/native/tracer.h"
#include "tests/native/tree.h"

namespace backupkit {
namespace {

using Names = std::vector<std::string>;

constexpr size_t kMany = 50'000;  // of which some thousands are held at once

class SortedNamesTest : public Census {
 protected:
  // Makes that many files, whose names have every length.
  void make(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      std::string name = std::to_string((i * 7919) % 1'000'003);
      name.append(i % 997 == 0 ? 255 - name.size() : i % 3, '\xFF');
      ASSERT_EQ(::mknodat(top_.fd().get(), name.c_str(), S_IFREG | 0600, 0), 0) << name;
      made_.push_back(std::move(name));
    }
    std::ranges::sort(made_);
  }

  [[nodiscard]] UniqueFd opened() const {
    return UniqueFd(::openat(top_.fd().get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }

  // Calls `take` with each name, in order.
  Result<void> each(BorrowedFd place, const std::function<void(DirectoryName)>& take) {
    const UniqueFd directory = opened();
    auto sorted = SortedNames::read(directory.borrow(), place, buffer_);
    if (!sorted) return failure(sorted.error());
    for (;;) {
      auto name = sorted->next();
      if (!name) return failure(name.error());
      if (!*name) return {};
      take(std::move(**name));
    }
  }

  Names read(BorrowedFd place) {
    Names names;
    const auto done = each(place, [&](const DirectoryName& name) {
      EXPECT_EQ(name.kind, DT_REG) << name.text;
      names.push_back(name.text);
    });
    EXPECT_TRUE(done) << done.error().message();
    return names;
  }

  ScratchDirectory top_{memory_directory()};
  std::vector<char> buffer_ = std::vector<char>(size_t{64} << 10U);
  Names made_;
};

TEST_F(SortedNamesTest, few_come_in_byte_order) {
  EXPECT_EQ(read(top_.fd()), Names());
  make(100);
  EXPECT_EQ(read(top_.fd()), made_);
}

TEST_F(SortedNamesTest, many_come_in_byte_order_and_each_once) {
  make(kMany);
  EXPECT_EQ(read(top_.fd()), made_);
  force_named_files(true);
  EXPECT_EQ(read(top_.fd()), made_);
  force_named_files(false);
}

TEST_F(SortedNamesTest, without_a_place_for_a_file_they_are_the_same) {
  make(kMany);
  EXPECT_EQ(read(BorrowedFd()), made_);
}

TEST_F(SortedNamesTest, many_are_not_held) {
  make(kMany);
  const auto before = ::mallinfo2().uordblks;
  size_t most = 0;
  size_t count = 0;
  const auto done = each(top_.fd(), [&](const DirectoryName&) {
    if (++count % 1000 == 1) most = std::max(most, ::mallinfo2().uordblks - before);
  });
  ASSERT_TRUE(done);
  EXPECT_EQ(count, kMany);
  EXPECT_LT(kSanitized ? 0 : most, size_t{2} << 20U);
}

TEST_F(SortedNamesTest, what_a_failed_call_hides_is_said) {
  if (!can_change_calls()) GTEST_SKIP() << "calls are changed on x86-64 only";
  make(kMany / 2);
  const auto work = [this] {
    size_t count = 0;
    const auto done = each(top_.fd(), [&](const DirectoryName&) { ++count; });
    if (!done) return kSaid;
    return count == made_.size() ? kSeen : kSilent;
  };
  expect_said(work, 12);
}

}  // namespace
}  // namespace backupkit
