#include "tests/native/tracer.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>

namespace backupkit {
namespace {

// Not those for memory, threads and exit; and close(2) has closed even when it says an error.
bool may_fail(uint64_t call) {
  static const std::set<uint64_t> kNever{SYS_close,
                                         SYS_mmap,
                                         SYS_munmap,
                                         SYS_mprotect,
                                         SYS_brk,
                                         SYS_madvise,
                                         SYS_futex,
                                         SYS_exit,
                                         SYS_exit_group,
                                         SYS_clone,
                                         SYS_set_tid_address,
                                         SYS_execve,
                                         SYS_set_robust_list,
                                         SYS_rt_sigprocmask,
                                         SYS_prlimit64};
  return !kNever.contains(call);
}

class Tracer {
 public:
  explicit Tracer(const std::vector<Fault>& faults) : faults_(faults) {}

  Traced run(const std::vector<std::string>& command) {
    const pid_t program = start(command);
    for (;;) {
      int status = 0;
      const pid_t pid = ::waitpid(-1, &status, __WALL);
      if (pid < 0 && errno == EINTR) continue;
      if (pid < 0) break;
      if (WIFSTOPPED(status)) {
        on_stop(pid, status);
      } else if (pid == program) {
        traced_.status = status;
      }
    }
    traced_.fired = happened_ == faults_.size();
    return traced_;
  }

 private:
  struct Process {
    std::optional<size_t> fault;  // the one that is for it
    bool is_counted = false;
    size_t calls = 0;
    bool is_broken = false;  // the call that it is in
  };

  static pid_t start(const std::vector<std::string>& command) {
    std::vector<char*> arguments;
    for (const auto& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      (void)::raise(SIGSTOP);
      (void)::setenv("ASAN_OPTIONS", "detect_leaks=0", 1);  // which ptrace(2) keeps from working
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
    int status = 0;
    if (pid < 0 || ::waitpid(pid, &status, __WALL) != pid) std::abort();
    constexpr uintptr_t kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK |
                                   PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |
                                   PTRACE_O_EXITKILL;
    if (::ptrace(PTRACE_SETOPTIONS, pid, nullptr, kOptions) != 0) std::abort();
    ::ptrace(PTRACE_CONT, pid, nullptr, nullptr);
    return pid;
  }

  void on_stop(pid_t pid, int status) {
    Process& process = processes_[pid];
    const int signal = WSTOPSIG(status);
    const int event = status >> 16;
    uintptr_t deliver = 0;
    if (signal == (SIGTRAP | 0x80)) {
      on_call(pid, process);
    } else if (event == PTRACE_EVENT_EXEC) {
      on_exec(pid, process);
    } else if (event == 0 && signal != SIGSTOP && signal != SIGTRAP) {
      deliver = static_cast<uintptr_t>(signal);
    }
    ::ptrace(process.is_counted ? PTRACE_SYSCALL : PTRACE_CONT, pid, nullptr, deliver);
  }

  void on_exec(pid_t pid, Process& process) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
    const std::string line(std::istreambuf_iterator<char>(file), {});
    const auto begin = line.find('\0') + 1;
    const auto role = line.substr(begin, line.find('\0', begin) - begin);
    const auto instance = ++instances_[role];
    process = {};
    for (size_t i = 0; i < faults_.size(); ++i) {
      if (faults_[i].role == role && faults_[i].instance == instance) process.fault = i;
    }
    process.is_counted = process.fault.has_value();
  }

  void on_call(pid_t pid, Process& process) {
    __ptrace_syscall_info info{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0) return;
    const Fault& fault = faults_[*process.fault];
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
      ++process.calls;
      if (*process.fault == 0) traced_.calls = process.calls;
      if (process.calls != fault.at) return;
      if (fault.error != 0 && !may_fail(info.entry.nr)) return;
      ++happened_;
      traced_.last_call = std::to_string(info.entry.nr);
      if (fault.error == 0) {
        ::kill(pid, SIGKILL);
      } else {
        process.is_broken = true;
        set_call(pid);
      }
    } else if (process.is_broken) {
      process.is_broken = false;
      set_result(pid, -fault.error);
    }
  }

#if defined(__x86_64__)
  static void set_call(pid_t pid) { set(pid, offsetof(user_regs_struct, orig_rax), -1); }
  static void set_result(pid_t pid, int result) {
    set(pid, offsetof(user_regs_struct, rax), result);
  }
  static void set(pid_t pid, size_t offset, int64_t value) {
    if (::ptrace(PTRACE_POKEUSER, pid, offset, value) != 0) std::abort();
  }
#else
  static void set_call(pid_t) {}
  static void set_result(pid_t, int) {}
#endif

  const std::vector<Fault>& faults_;
  std::map<pid_t, Process> processes_;
  std::map<std::string, size_t> instances_;
  size_t happened_ = 0;
  Traced traced_;
};

}  // namespace

Traced run_traced(const std::vector<std::string>& command, const std::vector<Fault>& faults) {
  return Tracer(faults).run(command);
}

bool can_inject_errors() {
#if defined(__x86_64__)
  return true;
#else
  return false;
#endif
}

}  // namespace backupkit
