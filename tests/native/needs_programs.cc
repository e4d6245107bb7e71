// Linked into a test, it skips all of it where what is built as the test is cannot be started:
// programs of another machine, unless the kernel knows by whom they are run.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "tests/native/in_child.h"

namespace backupkit {
namespace {

class NeedsPrograms : public ::testing::Environment {
 public:
  void SetUp() override {
    const auto self = std::filesystem::read_symlink("/proc/self/exe");
    const int code = code_of([&] {
      const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
      if (::dup2(nowhere, STDOUT_FILENO) < 0) return errno;
      ::execl(self.c_str(), self.c_str(), "--gtest_list_tests", nullptr);
      return errno;
    });
    if (code == ENOEXEC) GTEST_SKIP() << "the kernel starts no programs of another machine";
  }
};

const auto* const kNeed = ::testing::AddGlobalTestEnvironment(new NeedsPrograms);

}  // namespace
}  // namespace backupkit
