#include "native/extension/backup_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <optional>
#include <string>

#include "native/base/syscall.h"
#include "native/extension/metadata.h"
#include "native/io/path.h"

namespace backupkit {
namespace {

constexpr const char* kForTheApp = "restore";  // no transaction: nobody needs it
constexpr mode_t kPrivate = 0700;
constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// Keeps the time of the sandbox's own directory over what is done to `.backup` in it.
class TimeKeeper {
 public:
  explicit TimeKeeper(BorrowedFd directory) : directory_(directory) {
    struct stat found{};
    if (::fstat(directory.get(), &found) == 0) time_ = found.st_mtim;
  }
  ~TimeKeeper() {
    if (!time_) return;
    const std::array<timespec, 2> times{timespec{0, UTIME_OMIT}, *time_};
    (void)::futimens(directory_.get(), times.data());  // whoever owns it only
  }
  TimeKeeper(const TimeKeeper&) = delete;
  TimeKeeper& operator=(const TimeKeeper&) = delete;

 private:
  BorrowedFd directory_;
  std::optional<timespec> time_;
};

}  // namespace

Result<bool> has_name(BorrowedFd directory, const std::string& name) {
  auto found = identity_of(directory, name);
  if (!found) return failure(found.error());
  return found->exists();
}

Result<UniqueFd> lock_backup_directory(BorrowedFd sandbox, bool waits) {
  for (;;) {
    UniqueFd lock(retry([&] { return ::openat(sandbox.get(), kBackupDirectory, kDirectory); }));
    if (!lock.is_open()) {
      if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return UniqueFd();
      return errno_failure("'.backup'");
    }
    if (retry([&] { return ::flock(lock.get(), LOCK_EX | (waits ? 0 : LOCK_NB)); }) != 0) {
      if (errno == EWOULDBLOCK) return UniqueFd();
      return errno_failure("lock of '.backup'");
    }
    // Whoever had it may have removed the directory meanwhile.
    struct stat held{};
    if (::fstat(lock.get(), &held) != 0) return errno_failure("'.backup'");
    auto there = identity_of(sandbox, kBackupDirectory);
    if (!there) return failure(there.error());
    if (held.st_ino == there->inode) return lock;
  }
}

Result<UniqueFd> make_backup_directory(BorrowedFd sandbox) {
  for (;;) {
    const TimeKeeper keeper(sandbox);
    if (::mkdirat(sandbox.get(), kBackupDirectory, kPrivate) != 0 && errno != EEXIST) {
      return errno_failure("'.backup' in the sandbox");
    }
    auto locked = lock_backup_directory(sandbox, true);
    if (!locked || locked->is_open()) return locked;
    auto in_the_way = has_name(sandbox, kBackupDirectory);
    if (!in_the_way) return failure(in_the_way.error());
    if (*in_the_way) return failure(Error::from_errno(ENOTDIR, "'.backup' in the sandbox"));
  }
}

Result<void> clear_backup_directory(BorrowedFd sandbox, BorrowedFd backup) {
  for (const char* name : {kTrash, kForTheApp}) {
    if (auto removed = remove_tree(backup, name); !removed) return removed;
  }
  const TimeKeeper keeper(sandbox);
  if (::unlinkat(sandbox.get(), kBackupDirectory, AT_REMOVEDIR) == 0) return {};
  if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOENT) return {};
  return errno_failure("removal of '.backup'");
}

Result<bool> remove_backup_directory(BorrowedFd sandbox) {
  auto lock = lock_backup_directory(sandbox, false);
  if (!lock) return failure(lock.error());
  if (!lock->is_open()) {
    auto is_there = has_name(sandbox, kBackupDirectory);
    if (!is_there) return failure(is_there.error());
    return !*is_there;
  }
  const TimeKeeper keeper(sandbox);
  if (auto removed = remove_tree(sandbox, kBackupDirectory); !removed) {
    return failure(removed.error());
  }
  return true;
}

}  // namespace backupkit
