#include "native/service/freezer.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "native/base/log.h"
#include "native/base/syscall.h"
#include "native/protocol/channel.h"
#include "native/service/notes.h"

namespace backupkit {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kChannelFd = 3;
constexpr const char* kSwitch = "cgroup.freeze";
constexpr const char* kEvents = "cgroup.events";

// Not open: there is none.
Result<UniqueFd> open_cgroup(BorrowedFd root, const Bundle& bundle) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  UniqueFd cgroup(retry([&] { return ::openat(root.get(), bundle.freeze.c_str(), kFlags); }));
  if (!cgroup.is_open() && errno != ENOENT) return errno_failure("cgroup '" + bundle.freeze + "'");
  return cgroup;
}

Result<UniqueFd> open_switch(BorrowedFd cgroup, const std::string& path) {
  UniqueFd file(retry([&] { return ::openat(cgroup.get(), kSwitch, O_WRONLY | O_CLOEXEC); }));
  if (!file.is_open()) return errno_failure("'" + path + "/" + kSwitch + "'");
  return file;
}

Result<void> turn(BorrowedFd file, bool freezes) {
  const char digit = freezes ? '1' : '0';
  if (retry([&] { return ::pwrite(file.get(), &digit, 1, 0); }) == 1) return {};
  return errno_failure(kSwitch);
}

bool is_frozen(BorrowedFd events) {
  std::array<char, 256> text{};
  const auto got = retry([&] { return ::pread(events.get(), text.data(), text.size(), 0); });
  if (got < 0) return false;
  return std::string_view(text.data(), static_cast<size_t>(got)).contains("frozen 1");
}

int milliseconds_to(Clock::time_point end) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
  return static_cast<int>(std::max(left, std::chrono::milliseconds(0)).count());
}

// The work of the process that watches.
class Guard {
 public:
  Guard(Channel channel, Clock::time_point end) : channel_(std::move(channel)), end_(end) {}

  Result<void> run() {
    auto start = channel_.receive();
    if (!start) return failure(start.error());
    if (start->frames.size() != 1 || start->frames[0].fds.size() != 1) {
      return failure(Code::kIpc, "the first message is no request");
    }
    const auto cgroup = start->frames[0].fds[0].borrow();
    auto file = open_switch(cgroup, "cgroup");
    if (!file) return failure(file.error());
    const UniqueFd events(
        retry([&] { return ::openat(cgroup.get(), kEvents, O_RDONLY | O_CLOEXEC); }));
    if (!events.is_open()) return errno_failure(kEvents);
    auto watched = turn(file->borrow(), true);
    if (watched) watched = watch(events.borrow());
    auto thawed = turn(file->borrow(), false);
    return watched ? thawed : watched;
  }

  // Says why it could not; a service that has gone thaws by its successor.
  void tell(const Error& error) const {
    (void)channel_.send(FrameBuilder(FrameType::kDone).error(error).build());
  }

 private:
  Result<void> tell_if_frozen(BorrowedFd events) {
    if (told_ || !is_frozen(events)) return {};
    told_ = true;
    auto sent = channel_.send(FrameBuilder(FrameType::kFrozen).build());
    if (!sent) return failure(sent.error());
    return {};
  }

  Result<void> watch(BorrowedFd events) {
    for (;;) {
      if (auto told = tell_if_frozen(events); !told) return told;
      // An event file of a cgroup says by POLLPRI that it has another text.
      std::array<pollfd, 2> polled = {pollfd{channel_.socket().get(), POLLIN, 0},
                                      pollfd{told_ ? -1 : events.get(), POLLPRI, 0}};
      const int ready =
          retry([&] { return ::poll(polled.data(), polled.size(), milliseconds_to(end_)); });
      if (ready < 0) return errno_failure("poll");
      if (ready == 0 || polled[0].revents != 0) return {};
    }
  }

  Channel channel_;
  Clock::time_point end_;
  bool told_ = false;
};

Result<void> thaw_cgroup(BorrowedFd root, const std::string& name) {
  auto bundle = read_bundle(root, name);
  if (!bundle) return failure(bundle.error());
  auto cgroup = open_cgroup(root, *bundle);
  if (!cgroup) return failure(cgroup.error());
  if (!cgroup->is_open()) return {};
  auto file = open_switch(cgroup->borrow(), bundle->freeze);
  if (!file) return failure(file.error());
  return turn(file->borrow(), false);
}

void log_frozen(const std::string& bundle, const Error& error) {
  log_failure(LogLevel::kError, "thaw of the app of '" + bundle + "', which may be frozen,", error);
}

}  // namespace

Result<std::unique_ptr<Freezer>> Freezer::start(Loop& loop, BorrowedFd root, const Bundle& bundle,
                                                std::function<void()> frozen) {
  auto cgroup = open_cgroup(root, bundle);
  if (!cgroup) return failure(cgroup.error());
  std::unique_ptr<Freezer> freezer(new Freezer(loop, root, bundle.name, std::move(frozen)));
  if (!cgroup->is_open()) {
    freezer->telling_ = loop.call_at(Loop::Clock::now(), [self = freezer.get()] {
      self->telling_ = 0;
      self->tell();
    });
    return freezer;
  }
  auto file = open_switch(cgroup->borrow(), bundle.freeze);
  if (!file) return failure(file.error());
  if (auto noted = note(root, Note::kFrozen, bundle.name); !noted) return failure(noted.error());
  freezer->switch_ = std::move(*file);
  Worker::Handlers handlers;
  handlers.frame = [self = freezer.get()](const Frame& frame) { self->on_frame(frame); };
  handlers.broken = [](const Error&) {};  // its exit follows
  handlers.exit = [self = freezer.get()](std::optional<int>) {
    self->guard_.reset();
    self->thaw();
    self->tell();
  };
  auto guard = Worker::start(loop, {"--freeze", std::to_string(bundle.freeze_limit.count())},
                             std::move(handlers));
  if (!guard) return failure(guard.error());
  freezer->guard_ = std::move(*guard);
  freezer->guard_->say(FrameBuilder(FrameType::kStart).fd(std::move(*cgroup)).build());
  return freezer;
}

Freezer::~Freezer() {
  loop_.cancel(telling_);
  guard_.reset();  // it freezes nothing any more
  thaw();
}

void Freezer::thaw() {
  if (!switch_.is_open()) return;
  if (auto thawed = turn(switch_.borrow(), false); !thawed && thawed.error().sys_errno != ENODEV) {
    return log_frozen(bundle_, thawed.error());
  }
  switch_.reset();
  forget(root_, Note::kFrozen, bundle_);
}

void Freezer::on_frame(const Frame& frame) {
  ByteReader reader(frame.body);
  if (frame.type == FrameType::kFrozen) return tell();
  if (const auto error = read_error(reader)) {
    log_failure(LogLevel::kWarning, "freeze of the app of '" + bundle_ + "'", *error);
  }
}

void Freezer::tell() {
  if (const auto frozen = std::exchange(frozen_, nullptr)) frozen();
}

void thaw_left(BorrowedFd root) {
  const auto left = noted(root, Note::kFrozen);
  if (!left) return log_failure(LogLevel::kError, "look for what is frozen", left.error());
  for (const auto& name : *left) {
    if (const auto thawed = thaw_cgroup(root, name); !thawed) {
      log_frozen(name, thawed.error());
    } else {
      forget(root, Note::kFrozen, name);
    }
  }
}

int freeze_main(int argc, char** argv) {
  (void)std::signal(SIGPIPE, SIG_IGN);
  int64_t milliseconds = 0;
  const std::string_view text = argc == 3 ? argv[2] : "";
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), milliseconds);
  if (error != std::errc{} || end != text.data() + text.size()) return 2;
  Guard guard(Channel{UniqueFd(kChannelFd)},
              Clock::now() + std::chrono::milliseconds(milliseconds));
  const auto done = guard.run();
  if (!done) guard.tell(done.error());
  return done ? 0 : 1;
}

}  // namespace backupkit
