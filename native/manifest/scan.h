// Walks a sandbox in the order of its manifest.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/base/timestamp.h"
#include "native/io/holes.h"
#include "native/io/xattr.h"
#include "native/manifest/moves.h"
#include "native/manifest/rules.h"

namespace backupkit {

// What the walk knows of one entry. `parent` and `name` open it again without a path; both are
// valid during the visit only; `parent` is closed where the directory was moved away meanwhile.
// The root itself has the path "." and the name ".".
struct ScanEntry {
  std::string path;   // relative to the root; the one that it is stored under
  uint32_t mode = 0;  // with the file's type
  uint64_t uid = 0;
  uint64_t gid = 0;
  uint64_t size = 0;
  uint64_t blocks = 0;  // of 512 bytes, that it has on the disk
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
  bool is_moved = false;  // it is stored elsewhere than in the directory that has it
  // The walk leaves these to whoever stores the entry.
  Xattrs xattrs{};
  std::vector<Extent> holes{};  // of a file
};

// What a file's content takes without its holes; 0 of what is none. A small one may have it beside
// the blocks.
[[nodiscard]] uint64_t occupied(const ScanEntry& found);

// Sets what `status` says of an entry.
void fill(ScanEntry& entry, const struct stat& status);

// Where an entry of a directory ends. Each does in exactly one.
enum class Fate : uint8_t {
  kStored,
  kExcluded,     // by a rule; what is below it is not looked at
  kUnreadable,   // by an errno; of a directory, what is below it is not known
  kUnsupported,  // a socket
  kVanished,     // gone, or another kind of entry, since the names were read
  kUnstable,     // changed whenever it was read
};

// An entry that the walk does not visit.
struct Missed {
  Fate fate{};
  std::string path;
  int sys_errno = 0;      // of kUnreadable
  Rules::Judgement rule;  // of kExcluded
  uint64_t device = 0;    // the directory's that it is in
};

// An error of theirs ends the walk.
struct ScanHandlers {
  std::function<Result<void>(const ScanEntry&)> visit;
  std::function<Result<void>(const Missed&)> miss;
};

// Says of every entry below `root` that `rules` let it look at, once, where it ends: visits what is
// to be stored, in walk order: names in byte order within each directory, a directory before what
// is in it, and the directories above a taken entry just before the first such entry or one that is
// unreadable. What is unreadable is in that order, too; a directory in which nothing was taken is
// missed only when it is left. Symlinks are never followed. Holds at most 64 directories open,
// however deep the tree is, and few of a directory's names, however many it has: the rest is in an
// unnamed file on the file system of `root`. So many `helpers` are threads that look at directories
// before the walk comes to them; the handlers are called by the calling thread. Error: of a
// handler, an unreadable root, or of that file.
[[nodiscard]] Result<void> scan(BorrowedFd root, const Rules& rules, const ScanHandlers& handlers,
                                size_t helpers = 0);

// The same without what `moves` takes away; or, with one of the moves, of that directory alone,
// where it goes. It may have vanished.
[[nodiscard]] Result<void> scan_apart(BorrowedFd root, const Rules& rules, const Moves& moves,
                                      const Move* move, const ScanHandlers& handlers,
                                      size_t helpers);

}  // namespace backupkit
