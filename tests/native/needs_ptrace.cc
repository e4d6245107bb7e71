// Linked into a test, it skips all of it where there is no ptrace(2), as under qemu-user.
#include <gtest/gtest.h>
#include <sys/ptrace.h>

#include <cerrno>

#include "tests/native/in_child.h"

namespace backupkit {
namespace {

class NeedsPtrace : public ::testing::Environment {
 public:
  void SetUp() override {
    const int error =
        code_of([] { return error_of(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); });
    if (error == ENOSYS) GTEST_SKIP() << "there is no ptrace(2) here";
  }
};

const auto* const kNeed = ::testing::AddGlobalTestEnvironment(new NeedsPtrace);

}  // namespace
}  // namespace backupkit
