// What cannot be undone is done in a child process.
#pragma once

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace backupkit {

// Runs `deed` in a child process. Gives the status as waitpid(2) does: `deed` gives the exit code.
inline int status_of(const std::function<int()>& deed) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(deed());
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

// The same where it should not be ended by a signal: the exit code.
inline int code_of(const std::function<int()>& deed) {
  const int status = status_of(deed);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  return WEXITSTATUS(status);
}

// The error of a call that has just returned `result`; 0: it went well.
template <typename T>
int error_of(T result) {
  return result == static_cast<T>(-1) ? errno : 0;
}

// As under a container's rules: these calls give `error` to this process from now on.
inline bool take_away(const std::vector<long>& calls, uint32_t error) {
  std::vector<sock_filter> steps{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const auto call : calls) {
    steps.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1));
    steps.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error));
  }
  steps.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog program{static_cast<uint16_t>(steps.size()), steps.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace backupkit
