#include "native/extension/write_out.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <optional>
#include <thread>
#include <vector>

#include "backupkit/unique_fd.h"
#include "native/io/write.h"
#include "tests/native/census.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

// cachestat(2), which the C library may not know yet.
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

struct CacheRange {
  uint64_t offset = 0;
  uint64_t length = 0;  // to the end
};

struct CacheStatus {
  uint64_t cached = 0;
  uint64_t dirty = 0;
  uint64_t in_writeback = 0;
  uint64_t evicted = 0;
  uint64_t recently_evicted = 0;
};

// What of a file is in memory, by pages; none where the kernel does not tell.
std::optional<CacheStatus> cache_of(const UniqueFd& file) {
  CacheRange whole;
  CacheStatus status;
  if (::syscall(SYS_cachestat, file.get(), &whole, &status, 0) != 0) return std::nullopt;
  return status;
}

class WriteOutTest : public Census {
 protected:
  static std::ptrdiff_t threads() {
    return std::distance(fs::directory_iterator("/proc/self/task"), fs::directory_iterator());
  }

  // What runs a test for another machine may have one of its own.
  [[nodiscard]] std::ptrdiff_t more_threads() const { return threads() - before_; }

  // The kernel tells who joins a thread of its end before the thread has gone from /proc.
  void await_no_more_threads() const {
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (more_threads() > 0 && std::chrono::steady_clock::now() < patience) {
      std::this_thread::yield();
    }
    EXPECT_EQ(more_threads(), 0);
  }

 private:
  const std::ptrdiff_t before_ = threads();
};

TEST_F(WriteOutTest, a_little_is_left_to_the_last_sync) {
  const UniqueFd directory(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  WriteOut work(directory.borrow());
  work.note(1U << 20);
  work.note(2U << 20);
  EXPECT_EQ(more_threads(), 0);
}

TEST_F(WriteOutTest, much_is_written_out_on_one_thread_which_goes_with_it) {
  const UniqueFd directory(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  {
    WriteOut work(directory.borrow());
    for (uint64_t bytes = 0; bytes < (1U << 30); bytes += 100U << 20) work.note(bytes);
    EXPECT_EQ(more_threads(), 1);
  }
  await_no_more_threads();
}

TEST_F(WriteOutTest, what_was_written_so_far_is_on_the_disk_soon) {
  constexpr auto kSoon = std::chrono::seconds(20);  // the kernel by itself waits for 30
  struct statfs file_system{};
  ASSERT_EQ(::statfs(".", &file_system), 0);
  if (file_system.f_type == TMPFS_MAGIC) GTEST_SKIP() << "TMPDIR is in memory: nothing is written";
  const ScratchDirectory scratch;
  const UniqueFd directory(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd file(::open((scratch / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const std::vector<uint8_t> content(1U << 20U, 'x');
  ASSERT_TRUE(write_all(file.borrow(), content, "file"));
  auto status = cache_of(file);
  if (!status) GTEST_SKIP() << "cachestat(2): " << std::strerror(errno);
  if (status->dirty == 0) GTEST_SKIP() << "this file system does not keep what is written";
  WriteOut work(directory.borrow());
  work.note(16U << 20U);
  const auto end = std::chrono::steady_clock::now() + kSoon;
  while (status->dirty + status->in_writeback != 0 && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
    status = cache_of(file);
  }
  EXPECT_EQ(status->dirty, 0U);
  EXPECT_EQ(status->in_writeback, 0U);
}

TEST_F(WriteOutTest, without_a_directory_nothing_happens) {
  const UniqueFd none;
  WriteOut work(none.borrow());
  work.note(1U << 30);
  EXPECT_EQ(more_threads(), 0);
}

}  // namespace
}  // namespace backupkit
