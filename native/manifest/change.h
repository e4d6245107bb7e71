// What became of an entry since the run that wrote its manifest row.
#pragma once

#include <optional>

#include "native/base/timestamp.h"
#include "native/manifest/manifest.h"
#include "native/manifest/scan.h"

namespace backupkit {

enum class Change {
  // Type, mode, uid, gid, size, mtime, ctime and inode are the same, for a link its target too. No
  // user can set a ctime, so nothing was stored to since.
  kUnchanged,
  // Of a file: type, size, mtime and inode are the same; mode, uid or gid are not. That moved the
  // ctime, which therefore says nothing of the content: who leaves it out hashes it first. Of
  // everything else: anything differs but type and target; there is no content, so sending its few
  // bytes again is cheaper than asking what it was.
  kMetadata,
  // A file of which only the ctime differs (a link was made to it, its extended attributes were
  // set, it was written and its mtime set back), or whose row has none to rely on; or one whose
  // mtime differs, while size and inode are the same. Its hash says whether the content is the
  // row's, and the row has an XXH3 to compare with.
  kRehash,
  // Type, a file's size or inode, or a link's target differ; or kRehash without an XXH3.
  // So is every file and link of a version 1 manifest, which knows too little of them, while its
  // directories are kMetadata.
  kChanged,
  kNew,  // there was no row
};

// Compares the row of the last run with the entry of this one. A device's number is in no row: a
// new one is another inode.
[[nodiscard]] Change change_of(const std::optional<ManifestRow>& old, const ScanEntry& now);

// True when a store after the look at `entry` could leave its times as they were: they are as late
// as the scan's begin, or less than the clock's grain before it. The grain is 10 ms, the kernel's
// tick; 2 s for a time of whole seconds, which a file system like FAT may have cut.
[[nodiscard]] bool is_racy(const ScanEntry& entry, Timestamp scan_start);

// The row of `entry`, without hash and `in`, and not incremental. `scan_start` is the time of day
// read before the walk began. A racy entry's ctime is 0, so that the next run sees it as kRehash
// (and one without content as kMetadata); git does the same to its index. A size is a file's. Its
// `xattrs` and `holes` are those that `entry` has, which the walk leaves to whoever stores it.
[[nodiscard]] ManifestRow row_of(const ScanEntry& entry, Timestamp scan_start);

}  // namespace backupkit
