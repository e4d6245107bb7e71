#include "native/service/hook_process.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "native/base/syscall.h"

namespace backupkit {
namespace {

constexpr int kChannelFd = 3;
constexpr auto kPatience = std::chrono::seconds(5);
constexpr int kFirstArgument = 6;
constexpr int kCannotExecute = 127;  // as a shell says it

Result<std::string> path_of(BorrowedFd directory) {
  std::array<char, PATH_MAX> path{};
  const std::string self = "/proc/self/fd/" + std::to_string(directory.get());
  const auto length = ::readlink(self.c_str(), path.data(), path.size());
  if (length < 0) return errno_failure(self);
  return std::string(path.data(), static_cast<size_t>(length));
}

Result<std::pair<UniqueFd, UniqueFd>> stream_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return errno_failure("socketpair");
  }
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

Result<std::string> program_of(const HookPlan& plan) {
  std::string program = plan.command.front();
  if (!program.starts_with('/')) {
    auto root = path_of(plan.root);
    if (!root) return failure(root.error());
    program = *root + "/" + program;
  }
  if (::access(program.c_str(), X_OK) == 0) return program;
  Error error = Error::from_errno(errno, "hook program '" + program + "' of '" + plan.bundle + "'");
  error.code = Code::kExtensionStartFailed;
  return failure(std::move(error));
}

bool move_fd(int from, int to) {
  return retry([&] { return ::dup2(from, to); }) == to;
}

// Its channel is stdin and stdout, and nothing else is open.
bool arrange_descriptors() {
  const int null = retry([] { return ::open("/dev/null", O_WRONLY | O_CLOEXEC); });
  return null >= 0 && move_fd(kChannelFd, STDIN_FILENO) && move_fd(kChannelFd, STDOUT_FILENO) &&
         move_fd(null, STDERR_FILENO) && ::close(kChannelFd) == 0;
}

// Neither the service's own limit, which a program that uses select(2) does not bear, nor the umask
// of whoever started it.
void take_usual_limits() {
  (void)::umask(077);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = std::min<rlim_t>(files.rlim_cur, FD_SETSIZE);
  (void)::setrlimit(RLIMIT_NOFILE, &files);  // lower is always allowed
}

bool become_texts(std::string_view uid_text, std::string_view gid_text) {
  uid_t uid = 0;
  gid_t gid = 0;
  const auto parse = [](std::string_view text, auto& value) {
    return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc{};
  };
  if (!parse(uid_text, uid) || !parse(gid_text, gid)) return false;
  return ::geteuid() != 0 || become(uid, gid).has_value();
}

}  // namespace

Result<std::unique_ptr<HookProcess>> HookProcess::start(Loop& loop, const HookPlan& plan,
                                                        std::function<void()> exit) {
  auto program = program_of(plan);
  if (!program) return failure(program.error());
  auto sandbox = path_of(plan.sandbox);
  if (!sandbox) return failure(sandbox.error());
  auto pair = stream_pair();
  if (!pair) return failure(pair.error());
  std::vector<std::string> arguments = {
      "--hook", plan.bundle, *sandbox, std::to_string(plan.uid), std::to_string(plan.gid),
      *program};
  arguments.insert(arguments.end(), plan.command.begin() + 1, plan.command.end());
  std::unique_ptr<HookProcess> hook(new HookProcess(loop, std::move(exit)));
  auto child = spawn("/proc/self/exe", arguments, pair->second.borrow(),
                     {.directory = plan.sandbox, .is_bare = true});
  if (!child) return failure(child.error());
  hook->child_ = std::move(*child);
  hook->channel_ = std::move(pair->first);
  auto watched = loop.watch(hook->child_.pidfd.borrow(), EPOLLIN, [self = hook.get()](uint32_t) {
    self->loop_.forget(self->child_.pidfd.borrow());
    self->loop_.cancel(self->patience_);
    (void)reap(self->child_);       // how it ended says nothing: its answers do
    const auto held = self->exit_;  // it may destroy the hook
    held();
  });
  if (!watched) return failure(watched.error());
  return hook;
}

HookProcess::~HookProcess() {
  loop_.cancel(patience_);
  if (!child_.pidfd.is_open()) return;
  loop_.forget(child_.pidfd.borrow());
  kill();
  (void)reap(child_);
}

Result<UniqueFd> HookProcess::channel() const {
  UniqueFd copy(::fcntl(channel_.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy.is_open()) return errno_failure("duplicate of a hook's channel");
  return copy;
}

void HookProcess::finish(const std::string& last_request) {
  if (!last_request.empty()) {
    // The extension may have died in the middle of a line. A hook that does not read gets none.
    const std::string line = "\n" + last_request + "\n";
    (void)::send(channel_.get(), line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  // Without a last request it has nothing to say any more: one that is in the middle of an answer
  // for which nobody waits ends by that. This fails where it has gone already.
  (void)::shutdown(channel_.get(), last_request.empty() ? SHUT_RDWR : SHUT_WR);
  loop_.cancel(patience_);
  patience_ = loop_.call_at(Loop::Clock::now() + kPatience, [this] { kill(); });
}

int hook_main(int argc, char** argv) {
  if (argc <= kFirstArgument || !arrange_descriptors()) return kCannotExecute;
  take_usual_limits();
  const std::string sandbox = argv[3];
  if (!become_texts(argv[4], argv[5])) return kCannotExecute;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return kCannotExecute;
  // The service has one thread and outlives a hook only by being killed. Cleared by a change of
  // user, so it comes after that; the parent may have died just before.
  const pid_t parent = ::getppid();
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent) return kCannotExecute;
  (void)std::signal(SIGPIPE, SIG_DFL);
  std::vector<std::string> environment = {"PATH=/usr/local/bin:/usr/bin:/bin",
                                          "LANG=C.UTF-8",
                                          "HOME=" + sandbox,
                                          "BACKUPKIT_BUNDLE=" + std::string(argv[2]),
                                          "BACKUPKIT_SANDBOX=" + sandbox,
                                          "BACKUPKIT_BACKUP_DIR=" + sandbox + "/.backup"};
  std::vector<char*> texts;
  texts.reserve(environment.size() + 1);
  for (auto& text : environment) texts.push_back(text.data());
  texts.push_back(nullptr);
  ::execve(argv[kFirstArgument], argv + kFirstArgument, texts.data());
  return kCannotExecute;
}

}  // namespace backupkit
