// What an entry has beside what the walk has seen of it.
#pragma once

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/extension/settings.h"
#include "native/io/xattr.h"
#include "native/manifest/scan.h"

namespace backupkit {

// The extended attributes of the entry that is being visited, as far as they are kept. `file` is
// open where it is at hand.
[[nodiscard]] Result<Xattrs> kept_xattrs(const ScanEntry& found, BorrowedFd file, Labels labels);

// Sets the attributes and holes of the entry that is being visited. `file` is open where it is a
// file, and none otherwise. Error: the errno says why they cannot be read.
[[nodiscard]] Result<void> read_attributes(ScanEntry& found, BorrowedFd file, Labels labels);

}  // namespace backupkit
