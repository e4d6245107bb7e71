#include "native/io/seccomp.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace backupkit {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__) && defined(__AARCH64EL__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#elif defined(__arm__) && defined(__ARMEL__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_ARM;
#else
constexpr uint32_t kArchitecture = 0;
#endif

// removexattrat(2) of Linux 6.13; the calls since 424 have the same number on all of these. x32's
// are beyond it: they have a bit set.
constexpr uint32_t kNewestKnown = 466;

constexpr uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;
constexpr uint32_t kHide = SECCOMP_RET_ERRNO | ENOSYS;

constexpr auto kNobodys = std::to_array<uint32_t>({
    // other processes
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_process_madvise,
    SYS_pidfd_getfd,
    SYS_kcmp,
    // mounts and namespaces
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_open_tree,
    SYS_move_mount,
    SYS_mount_setattr,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_unshare,
    SYS_setns,
    // files without a path, and whole file systems
    SYS_open_by_handle_at,
    SYS_fanotify_init,
    SYS_quotactl,
    SYS_quotactl_fd,
    SYS_swapon,
    SYS_swapoff,
    // the kernel
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_reboot,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_syslog,
    SYS_acct,
    // the machine
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_clock_adjtime,
    SYS_adjtimex,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_vhangup,
#if defined(__arm__)
    SYS_clock_settime64,
    SYS_clock_adjtime64,
#endif
#if defined(__x86_64__)
    SYS_iopl,
    SYS_ioperm,
    SYS_modify_ldt,
#endif
});

constexpr auto kNotOfOneProcess = std::to_array<uint32_t>({
    // programs and processes, but for what clone(2) is asked below
    SYS_execve,
    SYS_execveat,
#if defined(SYS_fork)
    SYS_fork,
    SYS_vfork,
#endif
    // sockets, and what else two processes meet by
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_accept,
    SYS_accept4,
    SYS_shmget,
    SYS_shmat,
    SYS_semget,
    SYS_msgget,
    SYS_mq_open,
    // signals, but for what tgkill(2) is asked below
    SYS_kill,
    SYS_tkill,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_pidfd_open,
    SYS_pidfd_send_signal,
    // when others run
    SYS_setpriority,
    SYS_ioprio_set,
    SYS_sched_setaffinity,
    SYS_sched_setattr,
    SYS_sched_setparam,
    SYS_sched_setscheduler,
});

// What an argument is compared with; of the argument the lower half, for none of the calls here
// looks at the other.
struct Test {
  uint16_t how;
  uint32_t value;
};
constexpr Test is(uint32_t value) { return {BPF_JEQ, value}; }
constexpr Test has_any(uint32_t bits) { return {BPF_JSET, bits}; }

// A call that is refused: always, or as that argument meets one of the tests or none of them.
struct Rule {
  uint32_t call = 0;
  uint32_t answer = kRefuse;
  std::vector<Test> tests = {};
  size_t argument = 0;
  bool is_met = true;
};

constexpr bool kMet = true;
constexpr bool kNotMet = false;

class Filter {
 public:
  explicit Filter(std::vector<Rule> rules) {
    std::ranges::sort(rules, {}, &Rule::call);
    load(offsetof(seccomp_data, arch));
    add(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0);
    add(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    load(offsetof(seccomp_data, nr));
#if defined(__arm__)
    constexpr uint32_t kOfArmAlone = 0x0f0000;  // cacheflush and the like
    add(BPF_JMP | BPF_JGE | BPF_K, kOfArmAlone, 0, 1);
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
#endif
    add(BPF_JMP | BPF_JGT | BPF_K, kNewestKnown, 0, 1);
    add(BPF_RET | BPF_K, kHide);
    find(rules);
  }

  Result<void> hold() {
    sock_fprog program{static_cast<uint16_t>(steps_.size()), steps_.data()};
    // Before Linux 5.16 the kernel would also guard each branch of the process, at a price.
    constexpr unsigned kFlags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, kFlags, &program) != 0) {
      return errno_failure("a filter of system calls");
    }
    return {};
  }

 private:
  void add(uint32_t code, uint32_t value, size_t if_true = 0, size_t if_false = 0) {
    steps_.push_back({static_cast<uint16_t>(code), static_cast<uint8_t>(if_true),
                      static_cast<uint8_t>(if_false), value});
  }
  void load(size_t place) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(place)); }

  // By halves: the kernel runs this for every number when it takes the filter, to know those that
  // are always allowed (Linux 5.11).
  void find(std::span<const Rule> rules) {
    constexpr size_t kFew = 3;
    if (rules.size() <= kFew) {
      for (const auto& rule : rules) apply(rule);
      add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
      return;
    }
    const size_t half = rules.size() / 2;
    add(BPF_JMP | BPF_JGE | BPF_K, rules[half].call, 0, 1);
    const size_t jump = steps_.size();
    add(BPF_JMP | BPF_JA, 0);
    find(rules.first(half));
    steps_[jump].k = static_cast<uint32_t>(steps_.size() - jump - 1);
    find(rules.subspan(half));
  }

  void apply(const Rule& rule) {
    if (rule.tests.empty()) {
      add(BPF_JMP | BPF_JEQ | BPF_K, rule.call, 0, 1);
      add(BPF_RET | BPF_K, rule.answer);
      return;
    }
    size_t left = rule.tests.size();
    add(BPF_JMP | BPF_JEQ | BPF_K, rule.call, 0, left + 3);
    // All these machines are little-endian: its lower half comes first.
    load(offsetof(seccomp_data, args) + rule.argument * sizeof(uint64_t));
    for (const auto& test : rule.tests) {
      --left;
      const size_t met = rule.is_met ? left : left + 1;  // to the refusal, or past it
      add(BPF_JMP | BPF_K | test.how, test.value, met, rule.is_met && left == 0 ? 1 : 0);
    }
    add(BPF_RET | BPF_K, rule.answer);
    load(offsetof(seccomp_data, nr));
  }

  std::vector<sock_filter> steps_;
};

void append(std::vector<Rule>& rules, std::span<const uint32_t> calls) {
  rules.reserve(rules.size() + calls.size());
  for (const auto call : calls) rules.push_back({call});
}

std::vector<Rule> rules_of_all() {
  std::vector<Rule> rules;
  append(rules, kNobodys);
  // What clone3(2) is asked for is in memory; C libraries fall back to clone(2).
  rules.push_back({SYS_clone3, kHide});
  rules.push_back({SYS_prlimit64, kRefuse, {is(0)}, 0, kNotMet});  // its own limits
  return rules;
}

std::vector<Rule> rules_of_a_program() {
  constexpr uint32_t kNamespaces = CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS |
                                   CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWUTS;
  auto rules = rules_of_all();
  rules.push_back({SYS_clone, kRefuse, {has_any(kNamespaces)}, 0, kMet});
  rules.push_back({SYS_socket, kRefuse, {is(AF_INET), is(AF_INET6)}, 0, kNotMet});
  rules.push_back({SYS_ioctl, kRefuse, {is(TIOCSTI), is(TIOCLINUX)}, 1, kMet});
  return rules;
}

std::vector<Rule> rules_of_one_process() {
  auto rules = rules_of_all();
  append(rules, kNotOfOneProcess);
  rules.push_back({SYS_clone, kRefuse, {has_any(CLONE_THREAD)}, 0, kNotMet});
  const auto itself = static_cast<uint32_t>(::getpid());  // abort(3)
  rules.push_back({SYS_tgkill, kRefuse, {is(itself)}, 0, kNotMet});
  // A descriptor's owner gets signals for it.
  rules.push_back({SYS_fcntl, kRefuse, {is(F_SETOWN), is(F_SETOWN_EX)}, 1, kMet});
#if defined(SYS_fcntl64)
  rules.push_back({SYS_fcntl64, kRefuse, {is(F_SETOWN), is(F_SETOWN_EX)}, 1, kMet});
#endif
  rules.push_back(
      {SYS_ioctl, kRefuse, {is(TIOCSTI), is(TIOCLINUX), is(FIOSETOWN), is(SIOCSPGRP)}, 1, kMet});
  return rules;
}

}  // namespace

Result<bool> has_call_filters() {
  if (kArchitecture == 0) return false;
  const uint32_t needed = SECCOMP_RET_KILL_PROCESS;
  if (::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0U, &needed) == 0) return true;
  if (errno == ENOSYS || errno == EINVAL || errno == EOPNOTSUPP || errno == EPERM) return false;
  return errno_failure("filters of system calls");
}

Result<void> allow_only(Calls calls) {
  const auto has_filters = has_call_filters();
  if (!has_filters) return failure(has_filters.error());
  if (!*has_filters) return {};
  return Filter(calls == Calls::kOfAProgram ? rules_of_a_program() : rules_of_one_process()).hold();
}

}  // namespace backupkit
