// One entry of a POSIX pax archive.
//
//   archive = *( [ global ] [ extended ] header content ) end
//   global  = header of type 'g', content of records     extended = the same of type 'x'
//   record  = length " " key "=" value "\n"              ; length counts the whole record, decimal
//   header  = 512 bytes: name[100] mode[8] uid[8] gid[8] size[12] mtime[12] chksum[8] type[1]
//             linkname[100] "ustar\0" "00" uname[32] gname[32] devmajor[8] devminor[8]
//             prefix[155] zero[12]                       ; numbers in octal, path = prefix/name
//   content = size bytes, filled with zeros to a multiple of 512
//   end     = two blocks of zeros
//
// Records are written only where the header does not suffice: path, linkpath (with
// hdrcharset=BINARY where one is not UTF-8), size, uid, gid, mtime. Records that say nothing about
// these are passed over when read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backupkit/error.h"
#include "native/base/timestamp.h"
#include "native/io/holes.h"
#include "native/io/xattr.h"

namespace backupkit {

inline constexpr size_t kTarBlock = 512;
inline constexpr size_t kMaxTarPath = size_t{1} << 20U;     // of a path or a link target
inline constexpr size_t kMaxPaxRecords = size_t{1} << 20U;  // of the content of one 'x' or 'g'

enum class EntryType : char {
  kFile = '0',
  kHardLink = '1',
  kSymlink = '2',
  kCharDevice = '3',
  kBlockDevice = '4',
  kDirectory = '5',
  kFifo = '6',
};

// Only a kFile has a size. A link_target is the text of a symlink, or the path of a hard link's
// first name. A path has no `/` at its end, also that of a directory.
struct Entry {
  std::string path;
  EntryType type = EntryType::kFile;
  uint32_t mode = 0;  // 07777
  uint64_t uid = 0;
  uint64_t gid = 0;
  uint64_t size = 0;
  Timestamp mtime;
  std::string link_target;
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  Xattrs xattrs;
  std::vector<Extent> holes;  // of a file, are_extents() of its size
  friend bool operator==(const Entry&, const Entry&) = default;
};

// Appends the blocks that go before the content of `entry` to `out`. Error kInvalidArgument: an
// empty path, one with a NUL, a path or target that is too long, a device number past 21 bits;
// `out` is untouched.
[[nodiscard]] Result<void> encode_header(const Entry& entry, std::string& out);

// The zeros that follow `size` bytes of content.
[[nodiscard]] constexpr uint64_t tar_padding(uint64_t size) {
  return (kTarBlock - size % kTarBlock) % kTarBlock;
}

// One decoded block: an entry, a 'g' or 'x' that announces records, or zeros.
struct TarHeader {
  enum class Kind { kEntry, kGlobal, kExtended, kEnd };
  Kind kind = Kind::kEnd;
  Entry entry;  // of a record block only `size` counts
};

// Decodes a header. Error kUnpackFailed: a wrong checksum, a bad number, an unknown type.
[[nodiscard]] Result<TarHeader> decode_header(std::span<const uint8_t, kTarBlock> block);

// The records by key; a later one of the same key wins, an empty value takes a key back.
using PaxRecords = std::map<std::string, std::string, std::less<>>;

// Adds the records in `text` to `records`. Error kUnpackFailed: text that is not made of records.
[[nodiscard]] Result<void> decode_records(std::string_view text, PaxRecords& records);

// Puts what `records` say over the header's fields. Error kUnpackFailed: a bad number or path, or
// a record that changes what the content means (GNU.sparse.*), which is not understood.
[[nodiscard]] Result<void> apply_records(const PaxRecords& records, Entry& entry);

// The last touch of a decoded entry: takes the `/` off a directory's path and checks that path,
// target and size go with the type. Error kUnpackFailed: they do not.
[[nodiscard]] Result<void> settle_entry(Entry& entry);

}  // namespace backupkit
