#include "native/service/hook_program.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "native/base/log.h"
#include "native/base/syscall.h"
#include "native/io/landlock.h"
#include "native/io/privilege.h"
#include "native/io/process.h"
#include "native/io/seccomp.h"

namespace backupkit {
namespace {

constexpr int kChannelFd = 3;
constexpr int kCannotExecute = 127;  // as a shell says it

constexpr std::array kPrograms{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};
// What these look at before they work, and sources of bytes.
constexpr std::array kSources{"/etc",      "/proc",       "/sys",        "/dev/zero",
                              "/dev/full", "/dev/random", "/dev/urandom"};
constexpr const char* kNull = "/dev/null";

// Other owners' files in the sandbox of an app that is root.
constexpr uint64_t kForFiles = capability::kChown | capability::kDacOverride |
                               capability::kDacReadSearch | capability::kFowner |
                               capability::kFsetid;

std::string text_of(const std::optional<uint32_t>& id) { return id ? std::to_string(*id) : ""; }

void append(std::vector<std::string>& list, const std::vector<std::string>& more) {
  list.push_back(std::to_string(more.size()));
  list.insert(list.end(), more.begin(), more.end());
}

// Takes one argument after the other.
class Arguments {
 public:
  explicit Arguments(std::span<char*> all) : left_(all) {}

  std::string text() {
    if (left_.empty()) {
      is_good_ = false;
      return "";
    }
    std::string first = left_.front();
    left_ = left_.subspan(1);
    return first;
  }

  uint32_t number() {
    const auto digits = text();
    uint32_t value = 0;
    const char* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, value);
    is_good_ &= error == std::errc{} && stop == end;
    return value;
  }

  // None where it is "".
  std::optional<uint32_t> id() {
    if (left_.empty() || *left_.front() != '\0') return number();
    (void)text();
    return std::nullopt;
  }

  std::vector<std::string> texts() {
    std::vector<std::string> list;
    for (auto left = number(); left > 0 && is_good_; --left) list.push_back(text());
    return list;
  }

  [[nodiscard]] bool is_good() const { return is_good_; }

 private:
  std::span<char*> left_;
  bool is_good_ = true;
};

Result<HookProgram> program_of(std::span<char*> all) {
  Arguments arguments(all);
  HookProgram program;
  program.bundle = arguments.text();
  program.sandbox.path = arguments.text();
  program.sandbox.uid = arguments.id();
  program.sandbox.gid = arguments.id();
  program.reads = arguments.texts();
  program.writes = arguments.texts();
  program.command = arguments.texts();
  if (arguments.is_good() && !program.command.empty()) return program;
  return failure(Code::kInvalidArgument, "its arguments are not the service's");
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

// The service has one thread and outlives a hook only by being killed. A change of user clears it,
// so it comes after that; the parent may have died just before.
Result<void> die_with_service() {
  const pid_t parent = ::getppid();
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return errno_failure("its parent's end");
  if (::getppid() != parent) return failure(Code::kClosed, "the service has gone");
  return {};
}

Result<void> keep_paths(const HookProgram& program) {
  auto landlock = Landlock::make(Landlock::Network::kKept);
  if (!landlock) return failure(landlock.error());
  Result<void> kept;
  const auto keep = [&](const std::string& path, Access access) {
    if (kept) kept = landlock->keep(path, access);
  };
  for (const char* path : kPrograms) keep(path, kRead | kRun);
  for (const char* path : kSources) keep(path, kRead);
  keep(kNull, kRead | kWrite);
  keep(program.command.front(), kRead | kRun);
  for (const auto& path : program.reads) keep(path, kRead | kRun);
  for (const auto& path : program.writes) keep(path, kRead | kRun | kWrite);
  keep(".", kRead | kRun | kWrite);  // the sandbox, the way to which may be closed to this user
  if (!kept) return kept;
  return landlock->enforce();
}

// Goes into the sandbox, and says its path without symbolic links.
Result<User> enter(SandboxPlace& place) {
  const auto sandbox = open_sandbox(BorrowedFd(AT_FDCWD), place.path);
  if (!sandbox) return failure(sandbox.error());
  auto user = user_of(sandbox->borrow(), place);
  if (!user) return user;
  if (::fchdir(sandbox->get()) != 0) return errno_failure("sandbox '" + place.path + "'");
  std::array<char, PATH_MAX> path{};
  if (::getcwd(path.data(), path.size()) == nullptr) return errno_failure("path of the sandbox");
  place.path = path.data();
  return user;
}

Result<void> give_up(const HookProgram& program, const User& user) {
  take_usual_limits();
  if (::geteuid() == 0) {
    if (auto dropped = become(user.uid, user.gid); !dropped) return dropped;
  }
  if (auto limited = keep_capabilities(kForFiles); !limited) return limited;
  if (auto forbidden = forbid_core_dumps(); !forbidden) return forbidden;
  if (auto forbidden = forbid_new_privileges(); !forbidden) return forbidden;
  if (auto bound = die_with_service(); !bound) return bound;
  if (auto kept = keep_paths(program); !kept) return kept;
  return allow_only(Calls::kOfAProgram);
}

bool move_fd(int from, int to) {
  return retry([&] { return ::dup2(from, to); }) == to;
}

// Its channel is stdin and stdout, and nothing else is open.
Result<void> arrange_descriptors() {
  const int null = retry([] { return ::open(kNull, O_WRONLY | O_CLOEXEC); });
  if (null >= 0 && move_fd(kChannelFd, STDIN_FILENO) && move_fd(kChannelFd, STDOUT_FILENO) &&
      ::close(kChannelFd) == 0 && move_fd(null, STDERR_FILENO)) {
    return {};
  }
  return errno_failure("its descriptors");
}

// The texts have to outlive the result.
std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (auto& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Gives only why it could not.
Error execute(HookProgram& program) {
  const auto& sandbox = program.sandbox.path;
  std::vector<std::string> environment = {"PATH=/usr/local/bin:/usr/bin:/bin",
                                          "LANG=C.UTF-8",
                                          "HOME=" + sandbox,
                                          "TMPDIR=" + sandbox,
                                          "BACKUPKIT_BUNDLE=" + program.bundle,
                                          "BACKUPKIT_SANDBOX=" + sandbox,
                                          "BACKUPKIT_BACKUP_DIR=" + sandbox + "/.backup"};
  (void)std::signal(SIGPIPE, SIG_DFL);
  const auto arguments = pointers_to(program.command);
  ::execve(arguments.front(), arguments.data(), pointers_to(environment).data());
  return Error::from_errno(errno, arguments.front());
}

Result<void> become_program(std::span<char*> arguments) {
  auto program = program_of(arguments);
  if (!program) return failure(program.error());
  auto user = enter(program->sandbox);
  if (!user) return failure(user.error().in(program->bundle));
  if (auto done = give_up(*program, *user); !done) return failure(done.error().in(program->bundle));
  if (auto done = arrange_descriptors(); !done) return failure(done.error().in(program->bundle));
  return failure(execute(*program));
}

}  // namespace

std::vector<std::string> arguments_of(const HookProgram& program) {
  const auto& place = program.sandbox;
  std::vector<std::string> arguments = {"--hook", program.bundle, place.path, text_of(place.uid),
                                        text_of(place.gid)};
  append(arguments, program.reads);
  append(arguments, program.writes);
  append(arguments, program.command);
  return arguments;
}

int hook_main(int argc, char** argv) {
  const auto all = std::span(argv, static_cast<size_t>(argc));
  const auto failed = become_program(all.subspan(2));
  // To where its stderr goes by now.
  log_failure(LogLevel::kError, "start of a hook", failed.error());
  return kCannotExecute;
}

}  // namespace backupkit
