#include "native/extension/write_out.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <iterator>

#include "backupkit/unique_fd.h"
#include "tests/native/census.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

class WriteOutTest : public Census {
 protected:
  static auto threads() {
    return std::distance(fs::directory_iterator("/proc/self/task"), fs::directory_iterator());
  }
};

TEST_F(WriteOutTest, a_little_is_left_to_the_last_sync) {
  const UniqueFd directory(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  WriteOut work(directory.borrow());
  work.note(1U << 20);
  work.note(2U << 20);
  EXPECT_EQ(threads(), 1);
}

TEST_F(WriteOutTest, much_is_written_out_on_one_thread_which_goes_with_it) {
  const UniqueFd directory(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  {
    WriteOut work(directory.borrow());
    for (uint64_t bytes = 0; bytes < (1U << 30); bytes += 100U << 20) work.note(bytes);
    EXPECT_EQ(threads(), 2);
  }
  EXPECT_EQ(threads(), 1);
}

TEST_F(WriteOutTest, without_a_directory_nothing_happens) {
  const UniqueFd none;
  WriteOut work(none.borrow());
  work.note(1U << 30);
  EXPECT_EQ(threads(), 1);
}

}  // namespace
}  // namespace backupkit
