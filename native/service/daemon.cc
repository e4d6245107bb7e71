#include "native/service/daemon.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "native/base/log.h"
#include "native/base/syscall.h"
#include "native/io/landlock.h"
#include "native/io/path.h"
#include "native/io/process.h"
#include "native/io/seccomp.h"
#include "native/service/freezer.h"
#include "native/service/ground.h"
#include "native/service/notes.h"
#include "native/service/recovery.h"
#include "native/service/server.h"

namespace backupkit {
namespace {

constexpr int kPassedFd = 3;          // of LISTEN_FDS and of --embedded
constexpr mode_t kSocketMode = 0666;  // who may call is decided per call, by uid

struct Options {
  std::string root = "/";
  std::string socket;
  bool embedded = false;
  std::chrono::milliseconds idle = std::chrono::seconds(30);
  LogLevel log_level = LogLevel::kWarning;
};

bool read_duration(const char* text, std::chrono::milliseconds& duration) {
  uint32_t number = 0;
  const char* const end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, number);
  duration = std::chrono::milliseconds(number);
  return error == std::errc() && stop == end;
}

bool read_level(std::string_view text, LogLevel& level) {
  const auto found = level_of(text);
  level = found.value_or(level);
  return found.has_value();
}

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--embedded") {
      options.embedded = true;
    } else if (argument == "--root" && i + 1 < argc) {
      options.root = argv[++i];
    } else if (argument == "--socket" && i + 1 < argc) {
      options.socket = argv[++i];
    } else if ((argument == "--log-level" && i + 1 < argc &&
                read_level(argv[i + 1], options.log_level)) ||
               (argument == "--idle" && i + 1 < argc && read_duration(argv[i + 1], options.idle))) {
      ++i;
    } else {
      return std::nullopt;
    }
  }
  return options;
}

// What a service holds for as long as it runs.
struct Ground {
  UniqueFd root;
  UniqueFd lock;
  ServiceSettings settings;
};

Result<Ground> take_ground(const std::string& path) {
  Ground ground;
  auto root = open_root(path);
  if (!root) return failure(root.error());
  auto lock = lock_root(root->borrow(), path);
  if (!lock) return failure(lock.error());
  ground.root = std::move(*root);
  ground.lock = std::move(*lock);
  auto settings = ServiceSettings::read(ground.root.borrow());
  if (!settings) return failure(settings.error());
  ground.settings = std::move(*settings);
  return ground;
}

bool is_socket_passed() {
  const char* pid = std::getenv("LISTEN_PID");    // NOLINT(concurrency-mt-unsafe): one thread
  const char* count = std::getenv("LISTEN_FDS");  // NOLINT(concurrency-mt-unsafe)
  return pid != nullptr && count != nullptr && std::to_string(::getpid()) == pid &&
         std::string_view(count) == "1";
}

Result<UniqueFd> listener_of(const Options& options) {
  if (is_socket_passed()) {
    UniqueFd passed(kPassedFd);
    if (::fcntl(passed.get(), F_SETFD, FD_CLOEXEC) != 0) return errno_failure("the passed socket");
    if (auto set = set_nonblocking(passed.borrow(), true); !set) return failure(set.error());
    return passed;
  }
  if (!options.socket.empty()) return listen_seqpacket(options.socket, kSocketMode);
  const UniqueFd root(::open(options.root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.is_open()) return errno_failure(options.root);
  if (auto made = make_directories(root.borrow(), "run/backupkit", 0755); !made) {
    return failure(made.error());
  }
  return listen_seqpacket(options.root + "/run/backupkit/service.sock", kSocketMode);
}

// Tells an embedder that waits for its welcome why there is none.
void send_refusal(BorrowedFd socket, const Error& error) {
  const Channel channel(UniqueFd(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0)));
  // It may be gone already; the exit status says the same.
  (void)channel.send(reply_frame(0, error));
}

// The number of a signal that has come; none where another turn has read it.
std::optional<int> read_signal(BorrowedFd signals) {
  signalfd_siginfo info{};
  const auto got = retry([&] { return ::read(signals.get(), &info, sizeof(info)); });
  if (got != sizeof(info)) return std::nullopt;
  return static_cast<int>(info.ssi_signo);
}

// What is wrong with the file is logged, and what held so far holds on.
void reload(BorrowedFd root, Server& server) {
  auto settings = ServiceSettings::read(root);
  if (!settings) return log_failure(LogLevel::kError, "reload of the settings", settings.error());
  server.configure(std::move(*settings));
  log_line(LogLevel::kInfo, "the settings were read anew");
}

// Every file under way has descriptors here; the limit that is in force by default suits select(2).
void raise_descriptor_limit() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &files);  // what there is has to do
}

// Lets the clients in: the embedder on its socket, or all who come to the listening one.
Result<void> open_door(Server& server, const Options& options) {
  if (options.embedded) {
    UniqueFd passed(kPassedFd);
    if (::fcntl(passed.get(), F_SETFD, FD_CLOEXEC) != 0) return errno_failure("descriptor 3");
    return server.adopt(std::move(passed), true);
  }
  auto listener = listener_of(options);
  if (!listener) return failure(listener.error());
  log_line(LogLevel::kInfo, "serves '" + options.root + "'");
  return server.listen(std::move(*listener));
}

// Stops the loop when the server has been idle for a time.
class Countdown {
 public:
  Countdown(Loop& loop, std::chrono::milliseconds time) : loop_(loop), time_(time) {}

  // Counts anew, from now. `server` outlives the loop's run.
  void restart(const Server& server) {
    loop_.cancel(timer_);
    timer_ = loop_.call_at(std::chrono::steady_clock::now() + time_, [this, &server] {
      if (server.is_idle()) loop_.stop();
    });
  }

 private:
  Loop& loop_;
  std::chrono::milliseconds time_;
  Loop::TimerId timer_ = 0;
};

// At work as long as it is held, beside what clients ask for.
Result<std::unique_ptr<RecoveryRun>> start_recovery(Loop& loop, BorrowedFd root) {
  thaw_left(root);
  auto interrupted = noted(root, Note::kRestore);
  if (!interrupted) return failure(interrupted.error());
  auto run = std::make_unique<RecoveryRun>(loop, root, std::move(*interrupted), [] {});
  run->start();
  return run;
}

// What this kernel does not keep extensions and hooks from; said once, for all of them.
void log_missing_confinement() {
  const auto landlock = landlock_version();
  if (!landlock || *landlock == 0) {
    log_line(LogLevel::kWarning,
             "this kernel has no Landlock of Linux 5.19 or later: only their user's rights keep "
             "extensions and hooks from other files");
  }
  const auto filters = has_call_filters();
  if (!filters || !*filters) {
    log_line(LogLevel::kWarning,
             "this kernel does not filter system calls: extensions and hooks may make them all");
  }
}

// Serves until somebody says stop, or nobody is left. `loop` and `signals` are its own.
Result<void> serve(Ground& ground, const Options& options, Loop& loop, BorrowedFd signals) {
  const bool supervised = !options.embedded && is_socket_passed();
  bool stopping = false;
  Countdown countdown(loop, options.idle);
  Server* at_work = nullptr;
  const auto idle = [&] {
    if (options.embedded || stopping) return loop.stop();
    if (supervised) countdown.restart(*at_work);
  };
  Server server(loop, ground.root.borrow(), ground.settings, idle);
  at_work = &server;
  auto recovery = start_recovery(loop, ground.root.borrow());
  if (!recovery) return failure(recovery.error());
  if (auto opened = open_door(server, options); !opened) return opened;
  if (supervised) idle();  // whoever it was started for may have gone again
  const auto on_signal = [&](uint32_t) {
    const auto signal = read_signal(signals);
    if (!signal) return;
    if (*signal == SIGHUP) return reload(ground.root.borrow(), server);
    loop.forget(signals);
    stopping = true;
    server.shut_down();
  };
  if (auto watched = loop.watch(signals, EPOLLIN, on_signal); !watched) return watched;
  return loop.run();
}

Result<void> serve(Ground& ground, const Options& options) {
  auto loop = Loop::make();
  if (!loop) return failure(loop.error());
  auto signals = signal_fd({SIGTERM, SIGINT, SIGHUP});
  if (!signals) return failure(signals.error());
  if (auto apart = spawn_apart(true); !apart) {
    log_failure(LogLevel::kWarning, "the thread that starts processes apart from open files",
                apart.error());
  }
  return serve(ground, options, **loop, signals->borrow());
}

}  // namespace

int daemon_main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options) {
    log_line(
        LogLevel::kError,
        "usage: backupd [--root DIR] [--socket PATH] [--idle MILLISECONDS] [--log-level LEVEL] | "
        "backupd --embedded --root DIR [--log-level LEVEL]; LEVEL is error, warning, info or "
        "debug");
    return 2;
  }
  open_log(options->log_level, options->embedded);
  (void)std::signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  auto ground = take_ground(options->root);
  if (!ground) {
    if (options->embedded) {
      send_refusal(BorrowedFd(kPassedFd), ground.error());
    } else {
      log_failure(LogLevel::kError, "service of '" + options->root + "'", ground.error());
    }
    return 1;
  }
  log_missing_confinement();
  auto served = serve(*ground, *options);
  if (served) log_line(LogLevel::kInfo, "ends");
  if (!served) log_failure(LogLevel::kError, "service of '" + options->root + "'", served.error());
  return served ? 0 : 1;
}

}  // namespace backupkit
