#include "native/manifest/change.h"

#include <sys/stat.h>

#include <cstdint>
#include <optional>

namespace backupkit {
namespace {

constexpr uint32_t kTick = 10'000'000;  // in nanoseconds: a kernel of 100 Hz, the slowest there is
constexpr int64_t kCoarseSeconds = 2;

bool same_owner_and_mode(const ManifestRow& old, const ScanEntry& now) {
  return old.mode == now.mode && old.uid == now.uid && old.gid == now.gid;
}

bool same_ctime(const ManifestRow& old, const ScanEntry& now) {
  return old.ctime == now.ctime && old.ctime != Timestamp{};
}

Change change_without_content(const ManifestRow& old, const ScanEntry& now) {
  if (S_ISLNK(now.mode) && old.target != now.link_target) return Change::kChanged;
  const bool same = same_owner_and_mode(old, now) && same_ctime(old, now) &&
                    old.mtime == now.mtime && old.inode == now.inode;
  return same ? Change::kUnchanged : Change::kMetadata;
}

Timestamp grain_before(Timestamp start, Timestamp time) {
  if (time.nanoseconds == 0) return {start.seconds - kCoarseSeconds, start.nanoseconds};
  if (start.nanoseconds >= kTick) return {start.seconds, start.nanoseconds - kTick};
  return {start.seconds - 1, start.nanoseconds + 1'000'000'000 - kTick};
}

}  // namespace

Change change_of(const std::optional<ManifestRow>& old, const ScanEntry& now) {
  if (!old) return Change::kNew;
  if ((old->mode & S_IFMT) != (now.mode & S_IFMT)) return Change::kChanged;
  if (!S_ISREG(now.mode)) return change_without_content(*old, now);
  if (old->size != now.size || old->inode != now.inode) return Change::kChanged;
  if (old->mtime == now.mtime) {
    if (!same_owner_and_mode(*old, now)) return Change::kMetadata;
    if (same_ctime(*old, now)) return Change::kUnchanged;
  }
  return old->hash.starts_with("xxh3:") ? Change::kRehash : Change::kChanged;
}

bool is_racy(const ScanEntry& entry, Timestamp scan_start) {
  return entry.mtime >= grain_before(scan_start, entry.mtime) ||
         entry.ctime >= grain_before(scan_start, entry.ctime);
}

ManifestRow row_of(const ScanEntry& entry, Timestamp scan_start) {
  ManifestRow row;
  row.path = entry.path;
  row.mode = entry.mode;
  row.size = S_ISREG(entry.mode) ? entry.size : 0;
  row.mtime = entry.mtime;
  row.type = entry_type(entry.mode).value_or(EntryType::kFile);
  if (!is_racy(entry, scan_start)) row.ctime = entry.ctime;
  row.inode = entry.inode;
  row.uid = static_cast<uint32_t>(entry.uid);
  row.gid = static_cast<uint32_t>(entry.gid);
  row.target = entry.link_target;
  row.xattrs = digest_of(entry.xattrs);
  row.holes = digest_of(entry.holes);
  return row;
}

}  // namespace backupkit
