// What an entry is besides its name and its content.
#pragma once

#include <cstdint>
#include <string>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/archive/tar_header.h"
#include "native/base/timestamp.h"
#include "native/io/xattr.h"

namespace backupkit {

struct Metadata {
  uint32_t mode = 0;  // 07777
  uint64_t uid = 0;
  uint64_t gid = 0;
  Timestamp mtime;
  Xattrs xattrs;
  friend bool operator==(const Metadata&, const Metadata&) = default;
};

[[nodiscard]] Metadata metadata_of(const Entry& entry);

// Opens an entry of any type, also a symlink, without a side effect: only for the calls below and
// those of path_resolution(7) that take O_PATH.
[[nodiscard]] Result<UniqueFd> open_entry(BorrowedFd parent, const std::string& name);

// `entry` may be open with O_PATH.
[[nodiscard]] Result<Metadata> read_metadata(BorrowedFd entry);

// Gives `entry`, which may be open with O_PATH, the wanted metadata where it has others. A
// symlink has no mode of its own; that of `wanted` is ignored. Error: which attribute, and why.
[[nodiscard]] Result<void> set_metadata(BorrowedFd entry, const Metadata& wanted);

// Lets its owner into a directory that may have kept even him out; other entries stay as they are.
// `entry` may be open with O_PATH.
[[nodiscard]] Result<void> unlock(BorrowedFd entry);

// The file's type, as in st_mode, and its inode; 0 and 0 where there is no such entry.
struct Identity {
  uint32_t type = 0;
  uint64_t inode = 0;
  [[nodiscard]] bool exists() const { return type != 0; }
};
[[nodiscard]] Result<Identity> identity_of(BorrowedFd parent, const std::string& name);

}  // namespace backupkit
