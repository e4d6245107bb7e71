// What every test leaves behind: nothing. Derive a fixture from Census, or use it as it is.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <string>

#include "backupkit/unique_fd.h"
#include "tests/native/open_descriptors.h"
#include "tests/native/scratch_directory.h"

namespace backupkit {

inline bool is_close_on_exec(BorrowedFd fd) {
  const int flags = ::fcntl(fd.get(), F_GETFD);
  return flags >= 0 && (flags & FD_CLOEXEC) != 0;
}

// Fails a test that leaves a descriptor open or a child unreaped.
class Census : public ::testing::Test {
 protected:
  void SetUp() override { before_ = open_descriptors(); }

  void TearDown() override {
    EXPECT_EQ(before_, open_descriptors()) << "descriptors before and after";
    siginfo_t info{};
    EXPECT_EQ(::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), -1) << "a child is left";
    EXPECT_EQ(errno, ECHILD);
  }

 private:
  std::map<int, std::string> before_;
};

}  // namespace backupkit
