#include "native/service/hook_process.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "native/base/log.h"
#include "native/base/syscall.h"

namespace backupkit {
namespace {

constexpr auto kPatience = std::chrono::seconds(5);
constexpr auto kLongestDeath = std::chrono::seconds(2);

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

// Makes the paths in it absolute, which are below the device root where they are relative.
Result<void> resolve(HookProgram& program, BorrowedFd root) {
  auto top = path_of(root);
  if (!top) return failure(top.error());
  const auto place = [&](std::string& path) {
    if (!path.starts_with('/')) path = *top + "/" + path;
  };
  place(program.sandbox.path);  // which is not looked at here: the file system may not answer
  const auto complete = [&](std::string& path, int needed) -> Result<void> {
    place(path);
    if (::access(path.c_str(), needed) == 0) return {};
    Error error =
        Error::from_errno(errno, "'" + path + "' of the hook of '" + program.bundle + "'");
    error.code = Code::kExtensionStartFailed;
    return failure(std::move(error));
  };
  if (auto done = complete(program.command.front(), X_OK); !done) return done;
  for (auto* paths : {&program.reads, &program.writes}) {
    for (auto& path : *paths) {
      if (auto done = complete(path, F_OK); !done) return done;
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<HookProcess>> HookProcess::start(Loop& loop, HookProgram program,
                                                        BorrowedFd root,
                                                        std::function<void()> exit) {
  if (auto resolved = resolve(program, root); !resolved) return failure(resolved.error());
  auto pair = stream_pair();
  if (!pair) return failure(pair.error());
  std::unique_ptr<HookProcess> hook(new HookProcess(loop, program.bundle, std::move(exit)));
  // Not apart: the end of a thread would kill it before the extension sees the end of the service,
  // and be taken for its own.
  auto child = spawn("/proc/self/exe", arguments_of(program), pair->second.borrow(),
                     {.is_bare = true, .is_here = true});
  if (!child) return failure(child.error());
  hook->child_ = std::move(*child);
  hook->channel_ = std::move(pair->first);
  auto watched = loop.watch(hook->child_.pidfd.borrow(), EPOLLIN,
                            [self = hook.get()](uint32_t) { self->on_exit(); });
  if (!watched) return failure(watched.error());
  return hook;
}

HookProcess::~HookProcess() {
  loop_.cancel(patience_);
  if (!child_.pidfd.is_open()) return;
  loop_.forget(child_.pidfd.borrow());
  kill_group(child_);
  end_child(loop_, std::move(child_));
}

void HookProcess::kill() {
  if (!child_.pidfd.is_open()) return;
  kill_group(child_);
  loop_.cancel(patience_);
  patience_ = loop_.call_at(Loop::Clock::now() + kLongestDeath, [this] { on_exit(); });
}

// How it ended says nothing: its answers do.
void HookProcess::on_exit() {
  loop_.cancel(patience_);
  loop_.forget(child_.pidfd.borrow());
  end_child(loop_, std::move(child_));
  const auto held = exit_;  // it may destroy this
  held();
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
  patience_ = loop_.call_at(Loop::Clock::now() + kPatience, [this] {
    log_line(LogLevel::kWarning, "the hook of '" + bundle_ + "' did not end and was killed");
    kill();
  });
}

}  // namespace backupkit
