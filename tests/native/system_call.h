// What is known of a system call that a process under ptrace(2) is about to make.
#pragma once

#include <elf.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace backupkit {

#if defined(__arm__)
constexpr long kMapCall = SYS_mmap2;
constexpr long kStatCall = SYS_fstatat64;
#else
constexpr long kMapCall = SYS_mmap;
constexpr long kStatCall = SYS_newfstatat;
#endif

class SystemCall {
 public:
  SystemCall(pid_t pid, const __ptrace_syscall_info& info) : pid_(pid), entry_(info.entry) {}

  [[nodiscard]] uint64_t number() const { return entry_.nr; }
  [[nodiscard]] uint64_t argument(size_t place) const { return entry_.args[place]; }

  // Not those for memory, threads and exit; and close(2) has closed even when it says an error.
  [[nodiscard]] bool may_fail() const {
    static const std::set<uint64_t> kNever{SYS_close,
                                           kMapCall,
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
                                           SYS_rseq,
                                           SYS_rt_sigprocmask,
                                           SYS_prlimit64};
    return !kNever.contains(number());
  }

  // False: neither another process nor a later one sees anything of it, whether it happens or not.
  [[nodiscard]] bool may_change() const { return !looks().contains(number()) && !only_opens(); }

  // Has the kernel stop this process, which is traced, at no calls but those that may change
  // something, and at openat2(2), whose flags a filter does not see.
  static bool stop_before_changes() {
    std::vector<sock_filter> filter{load(offsetof(seccomp_data, nr))};
    for (const auto call : looks()) {
      filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1));
      filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3));
    filter.push_back(load(offsetof(seccomp_data, args[2])));
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kMakes, 1, 0));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
    const sock_fprog program{static_cast<uint16_t>(filter.size()), filter.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
  }

  // Which argument says how many bytes are asked for. Not of messages: a shorter one is another.
  [[nodiscard]] std::optional<size_t> length_place() const {
    static const std::map<uint64_t, size_t> kPlaces{
        {SYS_read, 2},      {SYS_write, 2},    {SYS_writev, 2},          {SYS_pread64, 2},
        {SYS_pwrite64, 2},  {SYS_sendfile, 3}, {SYS_copy_file_range, 4}, {SYS_splice, 4},
        {SYS_getdents64, 2}};
    const auto found = kPlaces.find(number());
    return found == kPlaces.end() ? std::nullopt : std::optional(found->second);
  }

  // What it can be asked for instead: `wanted`, or the least that its kind can give.
  [[nodiscard]] uint64_t shorter(uint64_t wanted) const {
    constexpr uint64_t kLongestDirectoryEntry = 280;
    return number() == SYS_getdents64 ? kLongestDirectoryEntry : std::max<uint64_t>(1, wanted);
  }

 private:
  static constexpr uint32_t kMakes = O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY);

  // Little-endian: the low half of an argument comes first.
  static sock_filter load(size_t place) {
    return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(place));
  }

  static const std::set<uint64_t>& looks() {
    static const std::set<uint64_t> kLooks{
        SYS_read,      SYS_pread64,   SYS_lseek,      SYS_getdents64, SYS_fstat,    kStatCall,
        SYS_statx,     SYS_fstatfs,   SYS_readlinkat, SYS_fgetxattr,  SYS_getxattr, SYS_flistxattr,
        SYS_listxattr, SYS_lgetxattr, SYS_llistxattr, SYS_close,      SYS_fcntl,    SYS_flock,
        SYS_geteuid,   SYS_getpid,    SYS_getrandom,  kMapCall,       SYS_munmap,   SYS_mprotect,
        SYS_brk,       SYS_madvise,   SYS_futex};
    return kLooks;
  }

  // An open(2) that makes nothing.
  [[nodiscard]] bool only_opens() const {
    if (number() == SYS_openat) return (argument(2) & kMakes) == 0;
    if (number() != SYS_openat2) return false;
    static_assert(offsetof(open_how, flags) == 0);
    errno = 0;
    const auto flags = ::ptrace(PTRACE_PEEKDATA, pid_, argument(2), nullptr);
    return errno == 0 && (static_cast<uint64_t>(flags) & kMakes) == 0;
  }

  pid_t pid_;
  decltype(__ptrace_syscall_info::entry) entry_;
};

}  // namespace backupkit
