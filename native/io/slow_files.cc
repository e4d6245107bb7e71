#include "native/io/slow_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "native/io/mounts.h"

namespace backupkit {
namespace {

constexpr std::array<std::string_view, 18> kOwn{
    "bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3",     "ext4", "f2fs", "jffs2",
    "ntfs3",    "ramfs", "tmpfs", "ubifs", "vfat", "squashfs", "xfs",  "zfs",  "overlay"};

// Memory that is mounted nowhere has seals, as tmpfs has.
bool is_in_memory(BorrowedFd file) { return ::fcntl(file.get(), F_GET_SEALS) >= 0; }

// Of a place alone (open(2), O_PATH), whose close tells nobody.
bool is_place(BorrowedFd file) {
  const int flags = ::fcntl(file.get(), F_GETFL);
  return flags >= 0 && (flags & O_PATH) != 0;
}

bool is_own(dev_t device) {
  const auto type = type_of_mounted(device);
  return type && std::ranges::find(kOwn, *type) != kOwn.end();
}

}  // namespace

void SlowFiles::mark(std::span<UniqueFd> files) {
  for (auto& file : files) {
    if (may_wait(file.borrow())) file.close_aside();
  }
}

bool SlowFiles::may_wait(BorrowedFd file) {
  struct statx found{};
  constexpr int kHow = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
  if (::statx(file.get(), "", kHow, STATX_TYPE, &found) != 0) return true;
  if (!S_ISREG(found.stx_mode) && !S_ISDIR(found.stx_mode)) return false;
  const auto device = makedev(found.stx_dev_major, found.stx_dev_minor);
  const auto known = known_.find(device);
  if (known != known_.end()) return known->second && !is_place(file);
  if (is_place(file)) return false;
  return known_[device] = !is_in_memory(file) && !is_own(device);
}

}  // namespace backupkit
