#include "native/extension/metadata.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>
#include <utility>

#include "native/base/syscall.h"

namespace backupkit {
namespace {

constexpr mode_t kModeBits = 07777;

std::array<timespec, 2> times_of(Timestamp time) {
  timespec modified{};
  modified.tv_sec = time.seconds;
  modified.tv_nsec = static_cast<long>(time.nanoseconds);
  return {modified, modified};
}

// fchmod(2) refuses a descriptor that was opened with O_PATH; its name below /proc does not.
Result<void> set_mode(BorrowedFd entry, uint32_t mode) {
  if (::fchmod(entry.get(), mode) == 0) return {};
  if (errno != EBADF) return errno_failure("mode");
  const std::string self = "/proc/self/fd/" + std::to_string(entry.get());
  if (::chmod(self.c_str(), mode) != 0) return errno_failure("mode");
  return {};
}

}  // namespace

Metadata metadata_of(const Entry& entry) {
  return {entry.mode, entry.uid, entry.gid, entry.mtime, entry.xattrs};
}

Result<UniqueFd> open_entry(BorrowedFd parent, const std::string& name) {
  constexpr int kFlags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  UniqueFd entry(retry([&] { return ::openat(parent.get(), name.c_str(), kFlags); }));
  if (!entry.is_open()) return errno_failure("open it");
  return entry;
}

Result<Metadata> read_metadata(BorrowedFd entry) {
  struct stat found{};
  if (::fstat(entry.get(), &found) != 0) return errno_failure("look at it");
  auto xattrs = read_xattrs(entry);
  if (!xattrs) return failure(xattrs.error());
  return Metadata{found.st_mode & kModeBits, found.st_uid, found.st_gid,
                  Timestamp{found.st_mtim.tv_sec, static_cast<uint32_t>(found.st_mtim.tv_nsec)},
                  std::move(*xattrs)};
}

// Owner before mode and capabilities: chown(2) clears the set-id bits and security.capability. The
// mode before the xattrs: chmod(2) changes an ACL's mask. Times last: the others move ctime only.
Result<void> set_metadata(BorrowedFd entry, const Metadata& wanted) {
  struct stat found{};
  if (::fstat(entry.get(), &found) != 0) return errno_failure("look at it");
  const bool has_owner = found.st_uid == wanted.uid && found.st_gid == wanted.gid;
  if (!has_owner && ::fchownat(entry.get(), "", static_cast<uid_t>(wanted.uid),
                               static_cast<gid_t>(wanted.gid), AT_EMPTY_PATH) != 0) {
    return errno_failure("owner " + std::to_string(wanted.uid) + ":" + std::to_string(wanted.gid));
  }
  if (!S_ISLNK(found.st_mode) && (!has_owner || (found.st_mode & kModeBits) != wanted.mode)) {
    if (auto set = set_mode(entry, wanted.mode); !set) return set;
  }
  if (auto set = write_xattrs(entry, wanted.xattrs); !set) return set;
  if (::utimensat(entry.get(), "", times_of(wanted.mtime).data(), AT_EMPTY_PATH) != 0) {
    return errno_failure("times");
  }
  return {};
}

Result<void> unlock(BorrowedFd entry) {
  struct stat found{};
  if (::fstat(entry.get(), &found) != 0) return errno_failure("look at it");
  if (!S_ISDIR(found.st_mode) || (found.st_mode & S_IRWXU) == S_IRWXU) return {};
  return set_mode(entry, (found.st_mode & kModeBits) | S_IRWXU);
}

Result<Identity> identity_of(BorrowedFd parent, const std::string& name) {
  struct stat found{};
  if (::fstatat(parent.get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0) {
    return Identity{found.st_mode & S_IFMT, found.st_ino};
  }
  if (errno == ENOENT) return Identity{};
  return errno_failure("look at it");
}

}  // namespace backupkit
