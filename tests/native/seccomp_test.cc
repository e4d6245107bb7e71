#include "native/io/seccomp.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <csignal>
#include <cstdlib>
#include <thread>

#include "native/io/privilege.h"
#include "tests/native/census.h"
#include "tests/native/in_child.h"

namespace backupkit {
namespace {

constexpr int kNotHeld = 255;

class Seccomp : public Census {
 protected:
  void SetUp() override {
    Census::SetUp();
    const auto has_filters = has_call_filters();
    ASSERT_TRUE(has_filters);
    if (!*has_filters) GTEST_SKIP() << "this kernel does not filter system calls";
  }

  // The exit code of `deed`, held.
  static int held(Calls calls, const std::function<int()>& deed) {
    return code_of(in_hold(calls, deed));
  }
  // The error that a call gives there, and 0 where it gives none.
  template <typename... Arguments>
  static int answer(Calls calls, long number, Arguments... arguments) {
    return held(calls, [&] { return error_of(::syscall(number, arguments...)); });
  }
  static std::function<int()> in_hold(Calls calls, const std::function<int()>& deed) {
    return [calls, deed] {
      if (!forbid_new_privileges() || !allow_only(calls)) return kNotHeld;
      return deed();
    };
  }
};

class SeccompOfBoth : public Seccomp, public ::testing::WithParamInterface<Calls> {};

INSTANTIATE_TEST_SUITE_P(Both, SeccompOfBoth,
                         ::testing::Values(Calls::kOfAProgram, Calls::kOfOneProcess));

TEST_P(SeccompOfBoth, the_kernel_is_out_of_reach) {
  const auto calls = GetParam();
  // Root would get EINVAL, ENOENT or EFAULT for these arguments, and others as well for some.
  EXPECT_EQ(answer(calls, SYS_reboot, 1, 2, 3, 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_init_module, nullptr, 0, ""), EPERM);
  EXPECT_EQ(answer(calls, SYS_finit_module, -1, "", 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_kexec_load, 0, 1, nullptr, 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_bpf, 0, nullptr, 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_perf_event_open, nullptr, 0, -1, -1, 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_userfaultfd, 1), EPERM);
  EXPECT_EQ(answer(calls, SYS_io_uring_setup, 1, nullptr), EPERM);
  EXPECT_EQ(answer(calls, SYS_keyctl, 0, 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_add_key, nullptr, nullptr, nullptr, 0, 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_swapon, "/nowhere", 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_clock_settime, 1, nullptr), EPERM);
}

TEST_P(SeccompOfBoth, mounts_and_namespaces_are_out_of_reach) {
  const auto calls = GetParam();
  EXPECT_EQ(answer(calls, SYS_mount, "none", "/nowhere", "tmpfs", 0, nullptr), EPERM);
  EXPECT_EQ(answer(calls, SYS_umount2, "/nowhere", 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_open_tree, -1, "", 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_fsopen, "tmpfs", 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_chroot, "."), EPERM);
  EXPECT_EQ(answer(calls, SYS_pivot_root, "/nowhere", "/nowhere"), EPERM);
  EXPECT_EQ(answer(calls, SYS_unshare, 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_setns, -1, 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_open_by_handle_at, -1, nullptr, 0), EPERM);
}

TEST_P(SeccompOfBoth, other_processes_memory_is_out_of_reach) {
  const auto calls = GetParam();
  EXPECT_EQ(answer(calls, SYS_ptrace, 16, ::getpid(), 0, 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_process_vm_readv, ::getpid(), nullptr, 0, nullptr, 0, 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_process_vm_writev, ::getpid(), nullptr, 0, nullptr, 0, 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_pidfd_getfd, -1, 0, 0), EPERM);
}

TEST_P(SeccompOfBoth, nothing_is_typed_into_a_terminal) {
  constexpr auto kBeyond = static_cast<long>(1LL << 40U);  // 0 where a register has 32 bits
  for (const long request : {TIOCSTI, TIOCLINUX}) {
    EXPECT_EQ(answer(GetParam(), SYS_ioctl, -1, request, nullptr), EPERM);
    EXPECT_EQ(answer(GetParam(), SYS_ioctl, -1, request | kBeyond, nullptr), EPERM);
  }
  EXPECT_EQ(answer(GetParam(), SYS_ioctl, -1, FIONREAD, nullptr), EBADF);
}

TEST_P(SeccompOfBoth, calls_of_later_kernels_are_not_there) {
  for (const long number : {467L, 600L, 100000L}) {
    EXPECT_EQ(answer(GetParam(), number), ENOSYS) << number;
  }
  EXPECT_EQ(answer(GetParam(), SYS_clone3, nullptr, 0), ENOSYS);
}

#if defined(__x86_64__)
TEST_P(SeccompOfBoth, another_table_of_calls_is_no_way_around) {
  constexpr long kX32 = 0x40000000;
  EXPECT_EQ(answer(GetParam(), kX32 | SYS_mount, "", "", "", 0, nullptr), ENOSYS);
  EXPECT_EQ(answer(GetParam(), kX32 | SYS_getpid), ENOSYS);
  EXPECT_EQ(answer(GetParam(), 520), ENOSYS);  // x32's own execve
  const int status = status_of(in_hold(GetParam(), [] {
    long answer = 20;  // getpid of i386
    asm volatile("int $0x80" : "+a"(answer) : : "memory");
    return 0;
  }));
  ASSERT_TRUE(WIFSIGNALED(status));
  // SIGSEGV: the kernel has no table of i386.
  EXPECT_TRUE(WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV) << WTERMSIG(status);
}
#endif

TEST_P(SeccompOfBoth, threads_and_memory_and_files_are_as_ever) {
  EXPECT_EQ(held(GetParam(),
                 [] {
                   int made = 0;
                   std::thread([&] { made = 7; }).join();
                   void* const memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                   const UniqueFd file(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
                   const UniqueFd copy(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
                   rlimit limit{};
                   const bool is_well = memory != MAP_FAILED && copy.is_open() &&
                                        ::getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
                                        ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
                   return is_well ? made : 1;
                 }),
            7);
}

TEST_F(Seccomp, a_program_may_start_others) {
  EXPECT_EQ(held(Calls::kOfAProgram,
                 [] {
                   return code_of([] {
                     ::execl("/bin/sh", "sh", "-c", "kill -0 $$ && exit $(echo 9)", nullptr);
                     return 1;
                   });
                 }),
            9);
}

TEST_F(Seccomp, a_program_has_sockets_of_ip_alone) {
  const auto asked = [](int family, int type) {
    return answer(Calls::kOfAProgram, SYS_socket, family, type, 0);
  };
  for (const int family : {AF_UNIX, AF_NETLINK, AF_PACKET, AF_VSOCK, AF_ALG}) {
    EXPECT_EQ(asked(family, SOCK_STREAM), EPERM) << family;
  }
  EXPECT_EQ(asked(AF_INET, SOCK_STREAM), 0);
  EXPECT_NE(asked(AF_INET6, SOCK_DGRAM), EPERM);  // there may be none
  EXPECT_EQ(held(Calls::kOfAProgram,
                 [] {
                   int ends[2];
                   return error_of(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
                 }),
            0);
}

TEST_F(Seccomp, one_process_starts_no_other) {
  const auto calls = Calls::kOfOneProcess;
  char* const arguments[] = {nullptr};
  EXPECT_EQ(answer(calls, SYS_execve, "/bin/true", arguments, arguments), EPERM);
  EXPECT_EQ(answer(calls, SYS_execveat, AT_FDCWD, "/bin/true", arguments, arguments, 0), EPERM);
  EXPECT_EQ(held(calls, [] { return error_of(::fork()); }), EPERM);
  EXPECT_EQ(answer(calls, SYS_clone, SIGCHLD, 0, 0, 0, 0), EPERM);
#if defined(SYS_fork)
  EXPECT_EQ(answer(calls, SYS_fork), EPERM);
  EXPECT_EQ(answer(calls, SYS_vfork), EPERM);
#endif
}

TEST_F(Seccomp, one_process_connects_to_nobody) {
  const auto calls = Calls::kOfOneProcess;
  for (const int family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET}) {
    EXPECT_EQ(answer(calls, SYS_socket, family, SOCK_STREAM, 0), EPERM) << family;
  }
  EXPECT_EQ(answer(calls, SYS_socket, AF_INET, SOCK_RAW, 1), EPERM);
  const UniqueFd made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un nowhere{.sun_family = AF_UNIX, .sun_path = "/nowhere"};
  EXPECT_EQ(answer(calls, SYS_connect, made.get(), &nowhere, sizeof(nowhere)), EPERM);
  EXPECT_EQ(answer(calls, SYS_shmget, 1, 4096, 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_mq_open, "/nothing", O_RDONLY, 0, nullptr), EPERM);
}

TEST_F(Seccomp, one_process_signals_itself_alone) {
  const auto calls = Calls::kOfOneProcess;
  const pid_t parent = ::getpid();
  EXPECT_EQ(answer(calls, SYS_kill, parent, 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_kill, -1, 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_tkill, parent, 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_tgkill, parent, parent, 0), EPERM);
  EXPECT_EQ(answer(calls, SYS_rt_sigqueueinfo, parent, 0, nullptr), EPERM);
  EXPECT_EQ(answer(calls, SYS_pidfd_open, parent, 0), EPERM);
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  for (const int request : {F_SETOWN, F_SETOWN_EX}) {
    EXPECT_EQ(answer(calls, SYS_fcntl, socket.get(), request, parent), EPERM) << request;
  }
  for (const long request : {FIOSETOWN, SIOCSPGRP}) {
    EXPECT_EQ(answer(calls, SYS_ioctl, socket.get(), request, &parent), EPERM) << request;
  }
  const int status = status_of(in_hold(calls, []() -> int {
    (void)forbid_core_dumps();
    std::abort();
  }));
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) << status;
}

TEST_P(SeccompOfBoth, the_limits_of_others_are_out_of_reach) {
  const rlimit none{};
  EXPECT_EQ(answer(GetParam(), SYS_prlimit64, ::getpid(), RLIMIT_NOFILE, &none, nullptr), EPERM);
}

TEST_F(Seccomp, one_process_leaves_it_to_others_how_they_run) {
  const auto calls = Calls::kOfOneProcess;
  const pid_t parent = ::getpid();
  EXPECT_EQ(answer(calls, SYS_setpriority, PRIO_PROCESS, parent, 19), EPERM);
  const cpu_set_t processors{};
  EXPECT_EQ(answer(calls, SYS_sched_setaffinity, parent, sizeof(processors), &processors), EPERM);
}

TEST_F(Seccomp, is_left_out_where_it_is_missing) {
  for (const int error : {ENOSYS, EINVAL, EPERM}) {
    EXPECT_EQ(code_of([&] {
                if (!take_away({SYS_seccomp}, static_cast<uint32_t>(error))) return kNotHeld;
                const auto has_filters = has_call_filters();
                if (!has_filters || *has_filters) return 1;
                if (!allow_only(Calls::kOfOneProcess)) return 2;
                return error_of(::syscall(SYS_unshare, 0));
              }),
              0);
  }
  EXPECT_EQ(code_of([] {
              if (!take_away({SYS_seccomp}, EIO)) return kNotHeld;
              return allow_only(Calls::kOfOneProcess) ? 0 : 1;
            }),
            1)
      << "what is no answer";
}

}  // namespace
}  // namespace backupkit
