// The manifest of a backup: what each of its entries was when it was stored. Text.
//
//   manifest = "version=2.0&attrNum=18" LF columns LF *( row LF ) "end;" rows ";" 32hex LF
//   columns  = "path;mode;dir;size;mtime;hash;isIncremental;encodeFlag;type;mtimeNs;ctimeNs;"
//              "inode;uid;gid;in;target;xattrs;holes"       ; and so is a row
//   path     = "." for the top, else relative, without NUL, empty, "." or ".." parts
//   mode     = 0..65535, with the file's type               dir = "1" for a directory, else "0"
//   size     = 0..2^63-1                                    mtime = seconds since 1970
//   hash     = "" / "xxh3:" 32hex / "sha256:" 64hex         ; lower case
//   isIncremental = "0" / "1"
//   encodeFlag    = "1" where the path is percent-encoded, else "0"
//   type     = one of f d l p c b as the mode says, h for a further name of an entry (no directory)
//   mtimeNs  = nanoseconds since 1970, its seconds are mtime
//   ctimeNs  = nanoseconds since 1970, 0 where it cannot be relied on (see change.h)
//   inode    = 0..2^64-1                                    uid, gid = 0..2^32-1
//   in       = "" / the uri of the file of the backup that holds the entry
//   target   = percent-encoded; of l its text, of h the entry's first name, else ""
//   xattrs   = "" / "xxh3:" 32hex / "?"                     ; digest_of() those that were stored
//                                                           ; (io/xattr.h); "?": not known. An h
//                                                           ; has what its first name's row says
//   holes    = "" / "xxh3:" 32hex / "?"                     ; the same of a file's holes
//   (io/holes.h)
//
// Rows are in walk order (walk_order.h), each path once. The end's 32 digits are the XXH3-128 of
// all before that line, `rows` is how many there are. A line has at most 64 KiB, its LF included.
//
// Before there was a column `holes`, the head said attrNum=17, and before there was one `xattrs`,
// 16. Such a manifest is only read: of all its entries they are not known.
//
//   version1 = "version=1.0&attrNum=8" EOL columns1 EOL *( row1 EOL )
//   columns1 = the first eight columns                      EOL = [ CR ] LF, the last may be
//   missing
//
// Version 1, the seed system's, is only read: a `/` before a path is dropped, the hash is "" or
// 64hex of SHA-256 of either case, the rows are in any order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "backupkit/error.h"
#include "native/archive/tar_header.h"
#include "native/base/timestamp.h"

namespace backupkit {

inline constexpr size_t kMaxManifestLine = size_t{64} << 10U;
inline constexpr std::string_view kManifestHead =
    "version=2.0&attrNum=18\n"
    "path;mode;dir;size;mtime;hash;isIncremental;encodeFlag;type;mtimeNs;ctimeNs;inode;uid;gid;in;"
    "target;xattrs;holes\n";
inline constexpr std::string_view kManifestHead17 =
    "version=2.0&attrNum=17\n"
    "path;mode;dir;size;mtime;hash;isIncremental;encodeFlag;type;mtimeNs;ctimeNs;inode;uid;gid;in;"
    "target;xattrs\n";
inline constexpr std::string_view kManifestHead16 =
    "version=2.0&attrNum=16\n"
    "path;mode;dir;size;mtime;hash;isIncremental;encodeFlag;type;mtimeNs;ctimeNs;inode;uid;gid;in;"
    "target\n";
inline constexpr std::string_view kManifestHead1 =
    "version=1.0&attrNum=8\n"
    "path;mode;dir;size;mtime;hash;isIncremental;encodeFlag\n";

enum class ManifestVersion {
  k1,
  k2Of16,  // without the columns `xattrs` and `holes`
  k2Of17,  // without `holes`
  k2
};

// One row. From version 1 come no ctime, inode, uid, gid, `in` and target, and no nanoseconds; its
// hash is given as version 2 writes it.
struct ManifestRow {
  std::string path;   // the bytes, never encoded
  uint32_t mode = 0;  // with the file's type
  uint64_t size = 0;
  Timestamp mtime;
  std::string hash;
  bool is_incremental = false;
  EntryType type = EntryType::kFile;
  Timestamp ctime;  // 1970 itself: not to be relied on
  uint64_t inode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string in;
  std::string target;
  std::optional<std::string> xattrs = "";  // none: not known
  std::optional<std::string> holes = "";   // likewise
  friend bool operator==(const ManifestRow&, const ManifestRow&) = default;
};

// What a mode says an entry is; nothing for a socket and for what is no type.
[[nodiscard]] std::optional<EntryType> entry_type(uint32_t mode);

// Whether a row with these can be written, whatever else it says.
[[nodiscard]] bool fits_a_row(std::string_view path, std::string_view target);

// Appends the row's line to `out`. Error kInvalidArgument: the line would be too long; `out` is
// untouched.
[[nodiscard]] Result<void> append_row(const ManifestRow& row, std::string& out);

// The row of a line without its end. Error kInvalidArgument: the line is no row, and why.
[[nodiscard]] Result<ManifestRow> read_row(std::string_view line, ManifestVersion version);

// The column `in` of such a line of version 2, which is not looked at otherwise: of a line that is
// no row it is anything.
[[nodiscard]] std::string_view in_of(std::string_view line, ManifestVersion version);

}  // namespace backupkit
