// What an extension's process can still do, tried from inside.
#include "native/extension/confinement.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

#include "native/base/sanitized.h"
#include "native/io/landlock.h"
#include "native/io/mounts.h"
#include "native/io/privilege.h"
#include "native/io/process.h"
#include "native/io/seccomp.h"
#include "native/io/tmpfile.h"
#include "native/io/unix_socket.h"
#include "tests/native/census.h"
#include "tests/native/in_child.h"

namespace backupkit {
namespace {

constexpr uid_t kNobody = 65534;
constexpr int kNotHeld = 255;

// The parameter: as another user than the one who runs this.
class Confinement : public Census, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    Census::SetUp();
    if (GetParam() && ::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
    // Whatever is refused, the modes allow it.
    ASSERT_EQ(::chmod(scratch_.path().c_str(), 0777), 0);
    for (const char* name : {"sandbox", "other"}) {
      std::filesystem::create_directory(scratch_ / name);
      std::ofstream(scratch_ / name + "/file") << "text";
      ASSERT_EQ(::chmod((scratch_ / name).c_str(), 0777), 0);
      ASSERT_EQ(::chmod((scratch_ / name + "/file").c_str(), 0666), 0);
    }
    sandbox_.reset(::open((scratch_ / "sandbox").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }

  void TearDown() override {
    sandbox_.reset();
    Census::TearDown();
  }

  [[nodiscard]] std::function<int()> confined(const std::function<int()>& deed,
                                              bool restores = false) const {
    return [this, deed, restores] {
      std::optional<User> user;
      if (GetParam()) user = User{kNobody, kNobody};
      if (!drop_privileges(user) || !confine_to(sandbox_.borrow(), restores)) return kNotHeld;
      return deed();
    };
  }
  [[nodiscard]] int tried(const std::function<int()>& deed) const {
    return code_of(confined(deed));
  }
  [[nodiscard]] int opened(const std::string& path, int flags) const {
    return tried([&] { return error_of(::openat(sandbox_.get(), path.c_str(), flags, 0600)); });
  }

  static bool has_landlock() { return landlock_version().value() != 0; }
  static bool has_filters() { return !kSanitized && has_call_filters().value(); }

  ScratchDirectory scratch_{"/tmp"};
  UniqueFd sandbox_;
};

INSTANTIATE_TEST_SUITE_P(AsWhom, Confinement, ::testing::Bool(),
                         [](const auto& whom) { return whom.param ? "another" : "the_same"; });

TEST_P(Confinement, the_sandbox_is_at_hand) {
  EXPECT_EQ(opened("file", O_RDWR), 0);
  EXPECT_EQ(opened(".", O_RDONLY | O_DIRECTORY), 0);
  EXPECT_EQ(tried([&] {
              auto unnamed = unnamed_file(sandbox_.borrow());
              if (!unnamed) return 1;
              if (!reopen_readonly(unnamed->borrow())) return 2;
              const auto mounts = mounts_below(sandbox_.borrow());
              return mounts && mounts->empty() ? 0 : 3;
            }),
            0);
}

TEST_P(Confinement, no_other_file_is) {
  if (!has_landlock()) GTEST_SKIP() << "this kernel has no Landlock of Linux 5.19 or later";
  std::filesystem::create_symlink("../other/file", scratch_ / "sandbox/link");
  for (const auto& path : {std::string("../other/file"), scratch_ / "other/file",
                           std::string("link"), std::string("/etc/passwd")}) {
    EXPECT_EQ(opened(path, O_RDONLY), EACCES) << path;
    EXPECT_EQ(opened(path, O_WRONLY), EACCES) << path;
  }
  EXPECT_EQ(opened("../other/new", O_WRONLY | O_CREAT), EACCES);
  EXPECT_EQ(opened("/", O_RDONLY | O_DIRECTORY), EACCES);
  EXPECT_EQ(opened("/proc/1/status", O_RDONLY), EACCES);
  EXPECT_EQ(opened("/proc/self/mem", O_RDWR), EACCES);
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "other/new"));
}

TEST_P(Confinement, no_program_is_run) {
  if (!has_filters()) GTEST_SKIP() << "no system calls are filtered";
  EXPECT_EQ(tried([] {
              ::execl("/bin/true", "true", nullptr);
              return errno;
            }),
            EPERM);
  EXPECT_EQ(tried([] { return error_of(::fork()); }), EPERM);
  EXPECT_EQ(tried([] {
              bool ran = false;
              std::thread([&] { ran = true; }).join();
              return ran ? 0 : 1;
            }),
            0);
}

TEST_P(Confinement, the_service_is_out_of_reach) {
  const pid_t parent = ::getpid();
  const auto path = scratch_ / "socket";
  auto listener = listen_seqpacket(path, 0666).value();
  if (has_filters()) {
    EXPECT_EQ(tried([&] {
                const auto connected = connect_seqpacket(path);
                return connected ? 0 : connected.error().sys_errno;
              }),
              EPERM);
    EXPECT_EQ(tried([&] { return error_of(::kill(parent, SIGKILL)); }), EPERM);
    EXPECT_EQ(tried([&] { return error_of(::syscall(SYS_ptrace, 16, parent, 0, 0)); }), EPERM);
  }
  const auto memory = "/proc/" + std::to_string(parent) + "/mem";
  if (has_landlock() || GetParam()) {
    EXPECT_EQ(opened(memory, O_RDONLY), EACCES);
  }
}

TEST_P(Confinement, the_machine_is_out_of_reach) {
  if (!has_filters()) GTEST_SKIP() << "no system calls are filtered";
  EXPECT_EQ(
      tried([&] { return error_of(::syscall(SYS_mount, "none", "sandbox", "tmpfs", 0, nullptr)); }),
      EPERM);
  EXPECT_EQ(tried([] { return error_of(::syscall(SYS_socket, AF_INET, SOCK_RAW, 1)); }), EPERM);
  EXPECT_EQ(tried([] { return error_of(::syscall(SYS_unshare, 0)); }), EPERM);
}

TEST_P(Confinement, of_capabilities_those_for_files_are_left_and_only_to_root) {
  const auto has_any_but = [](uint64_t expected) {
    std::ifstream status("/proc/self/status");
    uint64_t permitted = 0;
    for (std::string word; status >> word;) {
      if (word == "CapPrm:") status >> std::hex >> permitted;
    }
    return (permitted & ~expected) != 0;
  };
  const uint64_t for_files = capability::kChown | capability::kDacOverride |
                             capability::kDacReadSearch | capability::kFowner |
                             capability::kFsetid | capability::kLease | capability::kMacAdmin |
                             capability::kSetfcap | capability::kSysAdmin;
  const uint64_t expected = GetParam() ? 0 : for_files;
  EXPECT_EQ(tried([&] { return has_any_but(expected) ? 1 : 0; }), 0);
  EXPECT_EQ(tried([] { return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 1; }), 0);
}

TEST_P(Confinement, devices_are_made_by_root_in_a_restore) {
  const auto make_device = [&] {
    return error_of(::mknodat(sandbox_.get(), "device", S_IFCHR | 0600, makedev(1, 3)));
  };
  const bool may =
      ::geteuid() == 0 && ::mknodat(sandbox_.get(), "probe", S_IFCHR | 0600, makedev(1, 3)) == 0;
  EXPECT_EQ(code_of(confined(make_device, false)), EPERM);
  EXPECT_EQ(code_of(confined(make_device, true)), may && !GetParam() ? 0 : EPERM);
}

TEST_P(Confinement, a_crash_leaves_no_core) {
  EXPECT_EQ(tried([] {
              rlimit limit{};
              return ::getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 1 ? 0 : 1;
            }),
            0);
  const int status = status_of(confined([]() -> int { std::abort(); }));
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGABRT);
  EXPECT_FALSE(WCOREDUMP(status));
}

}  // namespace
}  // namespace backupkit
