#include "tests/native/tracer.h"

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "tests/native/system_call.h"

namespace backupkit {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);

// While it is there, a wait for a child ends at its time.
class Alarm {
 public:
  explicit Alarm(std::chrono::seconds after) {
    struct sigaction action{};
    action.sa_handler = [](int) {};  // and no SA_RESTART
    if (::sigaction(SIGALRM, &action, &old_) != 0) std::abort();
    (void)::alarm(static_cast<unsigned>(after.count()));
  }
  ~Alarm() {
    (void)::alarm(0);
    (void)::sigaction(SIGALRM, &old_, nullptr);
  }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

 private:
  struct sigaction old_{};
};

class Tracer {
 public:
  explicit Tracer(const std::vector<Fault>& faults) : faults_(faults) {}

  Traced run(const std::vector<std::string>& command) {
    std::vector<char*> arguments;
    for (const auto& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    return follow(start([&] {
      // ptrace(2) keeps the search for leaks from working, and 1 is an exit code of the program's.
      (void)::setenv("ASAN_OPTIONS", "detect_leaks=0:exitcode=99", 1);
      ::execv(arguments[0], arguments.data());
      return 127;
    }));
  }

  Traced run(const std::function<int()>& work) {
    const bool only_at_changes = faults_[0].what.kind == Break::Kind::kKillAtChange;
    const pid_t program = start([&] {
      if (only_at_changes && !SystemCall::stop_before_changes()) std::abort();
      return work();
    });
    processes_[program].first = program;
    processes_[program].fault = 0;
    processes_[program].is_counted = !only_at_changes;
    return follow(program);
  }

 private:
  // One of its threads; what is counted is so for the first one.
  struct Process {
    pid_t first = 0;
    std::optional<size_t> fault;  // the one that is for it
    bool is_counted = false;
    bool is_loaded = false;  // its libraries are: their loader does not ask for the rest
    size_t calls = 0;
    bool is_broken = false;                               // the call that it is in
    std::optional<std::pair<size_t, uint64_t>> argument;  // of that call, as it was
  };

  Traced follow(pid_t program) {
    const Alarm alarm(kPatience);
    processes_[program];
    resume(program, 0);
    for (;;) {
      int status = 0;
      const pid_t pid = ::waitpid(-1, &status, __WALL);
      if (pid < 0 && errno == EINTR) {
        traced_.hung = true;
        for (const auto& [left, process] : processes_) ::kill(left, SIGKILL);
        continue;
      }
      if (pid < 0) break;
      if (WIFSTOPPED(status)) {
        on_stop(pid, status);
        continue;
      }
      traced_.crashed |= WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL;
      processes_.erase(pid);
      if (pid == program) traced_.status = status;
    }
    traced_.fired = happened_.size() == faults_.size();
    return traced_;
  }

  static pid_t start(const std::function<int()>& work) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      (void)::raise(SIGSTOP);
      ::_exit(work());
    }
    int status = 0;
    if (pid < 0 || ::waitpid(pid, &status, __WALL) != pid) std::abort();
    constexpr uintptr_t kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK |
                                   PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |
                                   PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL;
    if (::ptrace(PTRACE_SETOPTIONS, pid, nullptr, kOptions) != 0) std::abort();
    return pid;
  }

  void resume(pid_t pid, uintptr_t signal) {
    ::ptrace(processes_[pid].is_counted ? PTRACE_SYSCALL : PTRACE_CONT, pid, nullptr, signal);
  }

  // A new thread is for the same fault as the others; a new process for none.
  void adopt(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/status");
    std::string word;
    pid_t first = pid;
    while (file >> word && word != "Tgid:") {
    }
    file >> first;
    const auto found = processes_.find(first);
    if (found == processes_.end()) return;
    Process& process = processes_[pid];
    process.first = first;
    process.fault = found->second.fault;
    process.is_counted = found->second.is_counted;
  }

  void on_stop(pid_t pid, int status) {
    if (!processes_.contains(pid)) adopt(pid);
    Process& process = processes_[pid];
    const int signal = WSTOPSIG(status);
    const int event = status >> 16;
    uintptr_t deliver = 0;
    if (signal == (SIGTRAP | 0x80) || event == PTRACE_EVENT_SECCOMP) {
      on_call(pid, process);
    } else if (event == PTRACE_EVENT_EXEC) {
      on_exec(pid, process);
    } else if (event == 0 && signal != SIGSTOP && signal != SIGTRAP) {
      deliver = static_cast<uintptr_t>(signal);
    }
    resume(pid, deliver);
  }

  void on_exec(pid_t pid, Process& process) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
    const std::string line(std::istreambuf_iterator<char>(file), {});
    const auto begin = line.find('\0') + 1;
    const auto role = line.substr(begin, line.find('\0', begin) - begin);
    const auto instance = ++instances_[role];
    process = {};
    process.first = pid;
    for (size_t i = 0; i < faults_.size(); ++i) {
      if (faults_[i].role == role && faults_[i].instance == instance) process.fault = i;
    }
    process.is_counted = process.fault.has_value();
  }

  void on_call(pid_t pid, Process& process) {
    __ptrace_syscall_info info{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0) return;
    if (info.op == PTRACE_SYSCALL_INFO_EXIT) return on_return(pid, process);
    const Fault& fault = faults_[*process.fault];
    const SystemCall call(pid, info);
    Process& counted = processes_[process.first];
    counted.is_loaded |= call.number() == SYS_set_tid_address;
    const bool is_first = *process.fault == 0;
    const bool can = can_happen(fault.what.kind, call, counted);
    if (can) ++counted.calls;
    if (is_first) traced_.calls = counted.calls;
    if (!can || (fault.at != kEveryCall && counted.calls != fault.at)) {
      if (is_first && call.may_change()) {
        ++traced_.changes;
        traced_.order.push_back(call.number());
      }
      return;
    }
    happened_.insert(*process.fault);
    traced_.last_call = std::to_string(call.number());
    switch (fault.what.kind) {
      case Break::Kind::kKill:
      case Break::Kind::kKillAtChange:
        ::kill(pid, SIGKILL);
        return;
      case Break::Kind::kError:
        set(pid, kCallNumber, -1);
        break;
      default:
        process.argument = {*call.length_place(), call.argument(*call.length_place())};
        set(pid, kArguments[process.argument->first],
            static_cast<int64_t>(cut_length(fault.what.kind, call)));
    }
    process.is_broken = true;
  }

  void on_return(pid_t pid, Process& process) {
    if (!std::exchange(process.is_broken, false)) return;
    const Fault& fault = faults_[*process.fault];
    if (const auto argument = std::exchange(process.argument, std::nullopt)) {
      // The program may take it that a call leaves its arguments alone.
      set(pid, kArguments[argument->first], static_cast<int64_t>(argument->second));
    } else {
      set(pid, kResult, -fault.what.error);
    }
    if (fault.at != kEveryCall) process.is_counted = false;
  }

  static bool can_happen(Break::Kind kind, const SystemCall& call, const Process& process) {
    switch (kind) {
      case Break::Kind::kKill:
        return true;
      case Break::Kind::kKillAtChange:
        return call.may_change();
      case Break::Kind::kError:
        return call.may_fail();
      default:
        return process.is_loaded && call.length_place() &&
               cut_length(kind, call) < call.argument(*call.length_place());
    }
  }

  static uint64_t cut_length(Break::Kind kind, const SystemCall& call) {
    return call.shorter(kind == Break::Kind::kCutToOne ? 1
                                                       : call.argument(*call.length_place()) / 2);
  }

#if defined(__x86_64__)
  static constexpr size_t kCallNumber = offsetof(user_regs_struct, orig_rax);
  static constexpr size_t kResult = offsetof(user_regs_struct, rax);
  static constexpr std::array<size_t, 6> kArguments{
      offsetof(user_regs_struct, rdi), offsetof(user_regs_struct, rsi),
      offsetof(user_regs_struct, rdx), offsetof(user_regs_struct, r10),
      offsetof(user_regs_struct, r8),  offsetof(user_regs_struct, r9)};
  static void set(pid_t pid, size_t place, int64_t value) {
    if (::ptrace(PTRACE_POKEUSER, pid, place, value) != 0) std::abort();
  }
#else
  static constexpr size_t kCallNumber = 0;
  static constexpr size_t kResult = 0;
  static constexpr std::array<size_t, 6> kArguments{};
  static void set(pid_t, size_t, int64_t) {}
#endif

  const std::vector<Fault>& faults_;
  std::map<pid_t, Process> processes_;
  std::map<std::string, size_t> instances_;
  std::set<size_t> happened_;  // by their places in faults_
  Traced traced_;
};

}  // namespace

Traced run_traced(const std::vector<std::string>& command, const std::vector<Fault>& faults) {
  return Tracer(faults).run(command);
}

Traced run_traced(const std::function<int()>& work, size_t at, Break what) {
  const std::vector<Fault> faults{{"", 1, at, what}};
  return Tracer(faults).run(work);
}

bool can_change_calls() {
#if defined(__x86_64__)
  return true;
#else
  return false;
#endif
}

}  // namespace backupkit
