#include "native/service/handover.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "native/io/mounts.h"

namespace backupkit {
namespace {

constexpr size_t kMostOfOne = 2;  // a file, and its manifest

constexpr std::array<std::string_view, 13> kMadeUp{
    "binfmt_misc", "bpf",    "cgroup",    "cgroup2",    "configfs", "debugfs", "efivarfs",
    "proc",        "pstore", "selinuxfs", "securityfs", "sysfs",    "tracefs"};

}  // namespace

bool Handover::is_good(const std::vector<UniqueFd>& files) {
  return files.size() <= kMostOfOne && std::ranges::all_of(files, [this](const UniqueFd& file) {
           return is_good(file.borrow());
         });
}

bool Handover::is_good(BorrowedFd file) {
  const int wanted = kind_ == SessionKind::kRestore ? O_RDWR : O_RDONLY;
  const int flags = ::fcntl(file.get(), F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) != wanted || (flags & O_PATH) != 0) return false;
  struct statx found{};
  // Its type never changes, and is known to the kernel since it was opened.
  constexpr int kHow = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
  if (::statx(file.get(), "", kHow, STATX_TYPE, &found) != 0) return false;
  return S_ISREG(found.stx_mode) && holds_files(makedev(found.stx_dev_major, found.stx_dev_minor));
}

bool Handover::holds_files(dev_t device) {
  if (major(device) != 0 || good_.contains(device)) return true;
  const auto type = type_of_mounted(device);
  if (!type || std::ranges::find(kMadeUp, *type) != kMadeUp.end()) return false;
  good_.insert(device);
  return true;
}

}  // namespace backupkit
