#include "native/extension/backup_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "native/base/syscall.h"
#include "native/extension/metadata.h"
#include "native/io/path.h"
#include "native/manifest/directory_names.h"

namespace backupkit {
namespace {

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

// Removes all that `.backup` has beside the mark and a transaction. The mark goes after that, never
// before it on the disk: no part of a tree is left that could pass for all of it.
Result<void> remove_cleared(BorrowedFd backup) {
  const UniqueFd directory(retry([&] { return ::openat(backup.get(), ".", kDirectory); }));
  if (!directory.is_open()) return errno_failure("'.backup'");
  std::vector<char> buffer(size_t{64} << 10U);
  auto names = read_names(directory.borrow(), buffer);
  if (!names) return failure(names.error().in("'.backup'"));
  std::erase_if(*names, [](const DirectoryName& name) {
    return name.text == kTransaction || name.text == kCleared;
  });
  for (const auto& name : *names) {
    if (auto removed = remove_tree(backup, name.text); !removed) return removed;
  }
  if (!names->empty() && ::fsync(backup.get()) != 0) return errno_failure("sync of '.backup'");
  return {};
}

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

Result<void> sweep_backup_directory(BorrowedFd backup) {
  auto is_cleared = has_name(backup, kCleared);
  if (!is_cleared) return failure(is_cleared.error());
  if (!*is_cleared) return remove_tree(backup, kTrash);
  if (auto removed = remove_cleared(backup); !removed) return removed;
  return remove_tree(backup, kCleared);
}

Result<void> empty_backup_directory(BorrowedFd sandbox) {
  auto backup = lock_backup_directory(sandbox, true);
  if (!backup) return failure(backup.error());
  if (!backup->is_open()) return {};
  if (::mkdirat(backup->get(), kCleared, kPrivate) != 0 && errno != EEXIST) {
    return errno_failure("'.backup/cleared'");
  }
  if (::fsync(backup->get()) != 0) return errno_failure("sync of '.backup'");
  return leave_backup_directory(sandbox, backup->borrow());
}

Result<void> leave_backup_directory(BorrowedFd sandbox, BorrowedFd backup) {
  if (auto swept = sweep_backup_directory(backup); !swept) return swept;
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
