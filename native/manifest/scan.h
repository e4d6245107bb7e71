// Walks a sandbox in the order of its manifest.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/base/timestamp.h"
#include "native/manifest/rules.h"

namespace backupkit {

// What the walk knows of one entry. `parent` and `name` open it again without a path; both are
// valid during the visit only; `parent` is closed where the directory was moved away meanwhile.
// The root itself has the path "." and the name ".".
struct ScanEntry {
  std::string path;   // relative to the root
  uint32_t mode = 0;  // with the file's type
  uint64_t uid = 0;
  uint64_t gid = 0;
  uint64_t size = 0;
  Timestamp mtime;
  Timestamp atime;
  Timestamp ctime;
  uint64_t inode = 0;
  uint64_t device = 0;
  uint64_t links = 0;
  uint32_t device_major = 0;  // of a device file
  uint32_t device_minor = 0;
  std::string link_target;  // of a symlink
  BorrowedFd parent;
  std::string name;
};

struct ScanTotals {
  uint64_t stored = 0;       // entries that were visited, directories above taken ones included
  uint64_t excluded = 0;     // each by a rule; what is below one is not counted
  uint64_t unreadable = 0;   // entries and directories whose reading failed
  uint64_t unsupported = 0;  // sockets
  uint64_t vanished = 0;     // gone between the reading of the names and the look at the entry
  std::vector<std::string> details;  // the first 100 unreadable and unsupported: "path: ERRNO"
};

using ScanVisit = std::function<Result<void>(const ScanEntry&)>;

// Visits every entry below `root` that `rules` take: names in byte order within each directory, a
// directory before what is in it, and the directories above a taken entry just before the first
// such entry. Symlinks are never followed. Holds at most 64 directories open, however deep the tree
// is. An unreadable entry is counted and the walk goes on. Error: whatever `visit` gives (the walk
// ends there), or an unreadable root.
[[nodiscard]] Result<ScanTotals> scan(BorrowedFd root, const Rules& rules, const ScanVisit& visit);

}  // namespace backupkit
