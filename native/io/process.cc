#include "native/io/process.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "native/base/sanitized.h"
#include "native/base/syscall.h"
#include "native/io/apart_thread.h"
#include "native/io/open_now.h"

namespace backupkit {
namespace {

constexpr int kChannelFd = 3;
constexpr auto kPidfdId = static_cast<idtype_t>(3);  // P_PIDFD, which not every libc names

// What posix_spawn(3) does in the child. ok() is 0 or the first error.
class FileActions {
 public:
  FileActions(BorrowedFd channel, const SpawnOptions& options)
      : error_(posix_spawn_file_actions_init(&actions_)) {
    if (error_ != 0) return;
    usable_ = true;
    // Before 0 is opened, for the channel may be 0. Onto itself it clears close-on-exec
    // (glibc 2.29).
    keep(posix_spawn_file_actions_adddup2(&actions_, channel.get(), kChannelFd));
    keep(posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0));
    if (options.is_bare) {
      keep(posix_spawn_file_actions_addopen(&actions_, STDOUT_FILENO, "/dev/null", O_WRONLY, 0));
    }
    // What other libraries in this process opened may not be close-on-exec.
#if defined(__GLIBC__)
    keep(posix_spawn_file_actions_addclosefrom_np(&actions_, kChannelFd + 1));
#else
    const auto open = open_now();
    keep(open ? 0 : open.error().sys_errno);
    if (!open) return;
    for (const int fd : *open) {
      if (fd > kChannelFd) keep(posix_spawn_file_actions_addclose(&actions_, fd));
    }
#endif
  }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  ~FileActions() {
    if (usable_) posix_spawn_file_actions_destroy(&actions_);
  }

  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  void keep(int error) {
    if (error_ == 0) error_ = error;
  }

  posix_spawn_file_actions_t actions_{};
  int error_;
  bool usable_ = false;
};

class SpawnAttributes {
 public:
  SpawnAttributes() : error_(posix_spawnattr_init(&attributes_)) {
    if (error_ != 0) return;
    usable_ = true;
    sigset_t none;
    sigemptyset(&none);
    sigset_t all;
    sigfillset(&all);
    keep(posix_spawnattr_setsigmask(&attributes_, &none));
    keep(posix_spawnattr_setsigdefault(&attributes_, &all));
    // Another user's process could type into the terminal of this one's session.
    keep(posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID));
  }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  ~SpawnAttributes() {
    if (usable_) posix_spawnattr_destroy(&attributes_);
  }

  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  void keep(int error) {
    if (error_ == 0) error_ = error;
  }

  posix_spawnattr_t attributes_{};
  int error_;
  bool usable_ = false;
};

char** environment_for(const SpawnOptions& options) {
  static std::array<char*, 1> none{nullptr};
  return options.is_bare && !kSanitized ? none.data() : environ;
}

// posix_spawn(3) asks for non-const strings and does not change them.
std::vector<char*> argument_vector(std::string& executable, std::vector<std::string>& arguments) {
  std::vector<char*> vector{executable.data()};
  for (auto& argument : arguments) vector.push_back(argument.data());
  vector.push_back(nullptr);
  return vector;
}

Result<pid_t> start(const std::string& executable, const std::vector<std::string>& arguments,
                    BorrowedFd channel, const SpawnOptions& options) {
  const FileActions actions(channel, options);
  const SpawnAttributes attributes;
  int error = actions.error() != 0 ? actions.error() : attributes.error();
  std::string name = executable;
  std::vector<std::string> copies = arguments;
  const auto vector = argument_vector(name, copies);
  pid_t pid = -1;
  if (error == 0) {
    error = posix_spawn(&pid, name.c_str(), actions.get(), attributes.get(), vector.data(),
                        environment_for(options));
  }
  if (error != 0) return failure(Error::from_errno(error, executable));
  return pid;
}

// Where spawn() does it; none: on the thread that calls it.
std::unique_ptr<ApartThread>& apart_thread() {
  static std::unique_ptr<ApartThread> thread;
  return thread;
}

Result<pid_t> start_apart(const std::string& executable, const std::vector<std::string>& arguments,
                          BorrowedFd channel, const SpawnOptions& options) {
  const auto& thread = apart_thread();
  if (!thread || options.is_here) return start(executable, arguments, channel, options);
  Result<pid_t> started;
  const bool has_run = thread->run(
      channel, [&](BorrowedFd own) { started = start(executable, arguments, own, options); });
  // Too many descriptors may be under way (unix(7)), or be open, for one to get there.
  return has_run ? started : start(executable, arguments, channel, options);
}

}  // namespace

Result<void> spawn_apart(bool apart) {
  auto& thread = apart_thread();
  thread.reset();
  if (!apart) return {};
  auto started = ApartThread::start();
  if (!started) return failure(started.error());
  thread = std::move(*started);
  return {};
}

Result<Child> spawn(const std::string& executable, const std::vector<std::string>& arguments,
                    BorrowedFd channel, const SpawnOptions& options) {
  const auto pid = start_apart(executable, arguments, channel, options);
  if (!pid) return failure(pid.error());
  Child child;
  child.pid = *pid;
  child.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, child.pid, 0)));
  if (!child.pidfd.is_open()) {
    const auto failed = errno_failure("pidfd of " + executable);
    // It is our unreaped child, so the number is still its own.
    (void)::kill(child.pid, SIGKILL);
    (void)retry([&] { return ::waitpid(child.pid, nullptr, 0); });
    return failed;
  }
  return child;
}

Result<void> become(uid_t uid, gid_t gid) {
  if (::setgroups(0, nullptr) != 0) return errno_failure("setgroups");
  if (::setresgid(gid, gid, gid) != 0) return errno_failure("setresgid");
  if (::setresuid(uid, uid, uid) != 0) return errno_failure("setresuid");
  return {};
}

Result<int> reap(Child& child) {
  siginfo_t info{};
  if (retry([&] {
        return ::waitid(kPidfdId, static_cast<id_t>(child.pidfd.get()), &info, WEXITED);
      }) != 0) {
    return errno_failure("wait for a child");
  }
  child.pidfd.reset();
  return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

bool has_ended(const Child& child, std::chrono::milliseconds patience) {
  if (!child.pidfd.is_open()) return true;
  pollfd ended{child.pidfd.get(), POLLIN, 0};
  // An interrupted wait is over, too: who asks has to do with either answer.
  return ::poll(&ended, 1, static_cast<int>(patience.count())) > 0;
}

void kill_child(const Child& child) {
  if (!child.pidfd.is_open()) return;
  // ESRCH, that it is dead already, is what was asked for.
  (void)::syscall(SYS_pidfd_send_signal, child.pidfd.get(), SIGKILL, nullptr, 0);
}

void kill_group(const Child& child) {
  // While it is not reaped, the number is no other group's. ESRCH as above.
  if (child.pidfd.is_open()) (void)::kill(-child.pid, SIGKILL);
}

}  // namespace backupkit
