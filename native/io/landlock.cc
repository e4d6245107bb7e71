#include "native/io/landlock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

#include "native/base/syscall.h"

namespace backupkit {
namespace {

// As linux/landlock.h has them; that of the machine which builds may be older than the kernel.
constexpr uint64_t kExecute = 1U << 0U;
constexpr uint64_t kWriteFile = 1U << 1U;
constexpr uint64_t kReadFile = 1U << 2U;
constexpr uint64_t kReadDirectory = 1U << 3U;
constexpr uint64_t kTruncate = 1U << 14U;
constexpr uint64_t kControlDevice = 1U << 15U;
constexpr uint64_t kOfVersion2 = kTruncate - 1;

constexpr uint64_t kToLook = kReadFile | kReadDirectory;
constexpr uint64_t kToChange = (kOfVersion2 | kTruncate) & ~(kToLook | kExecute);
// All that a rule for something else than a directory may have.
constexpr uint64_t kToFiles = kExecute | kWriteFile | kReadFile | kTruncate | kControlDevice;

constexpr uint64_t kTcp = 3;         // bind and connect
constexpr uint64_t kOthers = 3;      // abstract sockets and signals
constexpr uint32_t kLogsLater = 2;   // LANDLOCK_RESTRICT_SELF_LOG_NEW_EXEC_ON
constexpr uint32_t kAskVersion = 1;  // LANDLOCK_CREATE_RULESET_VERSION
constexpr int kBelow = 1;            // LANDLOCK_RULE_PATH_BENEATH

constexpr int kWithRefer = 2;
constexpr int kWithTruncate = 3;
constexpr int kWithTcp = 4;
constexpr int kWithControlDevice = 5;
constexpr int kWithOthers = 6;
constexpr int kWithLog = 7;

struct Handled {
  uint64_t files = 0;
  uint64_t network = 0;
  uint64_t scoped = 0;
};

struct [[gnu::packed]] BelowRule {
  uint64_t allowed = 0;
  int32_t parent = -1;
};

uint64_t handled_of(int version) {
  uint64_t rights = kOfVersion2;
  if (version >= kWithTruncate) rights |= kTruncate;
  if (version >= kWithControlDevice) rights |= kControlDevice;
  return rights;
}

uint64_t rights_of(Access access) {
  uint64_t rights = 0;
  if ((access & kRead) != 0) rights |= kToLook;
  if ((access & kRun) != 0) rights |= kExecute;
  if ((access & kWrite) != 0) rights |= kToChange;
  return rights;
}

bool is_missing(int error) { return error == ENOSYS || error == EOPNOTSUPP || error == EPERM; }

}  // namespace

Result<int> landlock_version() {
  const auto version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kAskVersion);
  if (version >= 0) return version < kWithRefer ? 0 : static_cast<int>(version);
  if (is_missing(errno)) return 0;
  return errno_failure("Landlock's version");
}

Result<Landlock> Landlock::make(Network network) {
  const auto version = landlock_version();
  if (!version) return failure(version.error());
  if (*version == 0) return Landlock(0, UniqueFd());
  Handled handled;
  handled.files = handled_of(*version);
  if (*version >= kWithTcp && network == Network::kGivenUp) handled.network = kTcp;
  if (*version >= kWithOthers) handled.scoped = kOthers;
  // An older kernel takes the longer structure where the rest of it is 0. The descriptor is
  // close-on-exec.
  UniqueFd rules(static_cast<int>(
      ::syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), uint32_t{0})));
  if (!rules.is_open()) return errno_failure("rules for Landlock");
  return Landlock(*version, std::move(rules));
}

Result<void> Landlock::keep(BorrowedFd place, Access access) {
  if (!rules_.is_open()) return {};
  struct stat found{};
  if (::fstat(place.get(), &found) != 0) return errno_failure("look at what is kept");
  BelowRule rule;
  rule.allowed = rights_of(access) & handled_of(version_);
  if (!S_ISDIR(found.st_mode)) rule.allowed &= kToFiles;
  rule.parent = place.get();
  if (::syscall(SYS_landlock_add_rule, rules_.get(), kBelow, &rule, uint32_t{0}) != 0) {
    return errno_failure("a rule for Landlock");
  }
  return {};
}

Result<void> Landlock::keep(const std::string& path, Access access) {
  if (!rules_.is_open()) return {};
  const UniqueFd place(retry([&] { return ::open(path.c_str(), O_PATH | O_CLOEXEC); }));
  if (place.is_open()) return keep(place.borrow(), access);
  if (errno == ENOENT || errno == ENOTDIR || errno == EACCES) return {};
  return errno_failure("'" + path + "'");
}

Result<void> Landlock::enforce() {
  if (!rules_.is_open()) return {};
  const uint32_t flags = version_ >= kWithLog ? kLogsLater : 0;
  if (::syscall(SYS_landlock_restrict_self, rules_.get(), flags) != 0) {
    return errno_failure("Landlock");
  }
  rules_.reset();
  return {};
}

}  // namespace backupkit
