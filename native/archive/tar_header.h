// One entry of an archive, and the block that heads it.
//
//   archive  = *( [ global ] [ extended ] header content ) end
//   global   = header of type 'g', content of records      extended = the same of type 'x'
//   record   = length " " key "=" value "\n"               ; see pax.h
//   header   = 512 bytes: name[100] mode[8] uid[8] gid[8] size[12] mtime[12] chksum[8] type[1]
//              linkname[100] "ustar\0" "00" uname[32] gname[32] devmajor[8] devminor[8]
//              prefix[155] zero[12]                        ; numbers in octal, path = prefix/name
//   content  = size bytes, filled with zeros to a multiple of 512; of a file with holes: see
//   sparse.h end      = two blocks of zeros
//
// That is what is written. What is read may also be
//   - of an older tar: without the magic (then nothing counts behind linkname), or with GNU's
//     "ustar  \0" (then there is no prefix); type '\0' and '7' is a file, and so is one of '0'
//     whose path ends in `/` a directory; a checksum of signed bytes; numbers in binary;
//   - GNU's own: 'L' and 'K' hold a long path or link target for the next header, 'S' is a file
//   with
//     holes, 'D' a directory with a list of names for content, which is passed over; 'V', the name
//     of the volume, is no entry; 'M', the rest of a file from another volume, and 'N' are refused;
//   - 'X', Solaris' name for 'x'. Any other type is refused: its content could mean anything.
//   - a path, or the target of a hard link, that begins with "./", which is taken off;
//   - an end of one block, or none behind an entry, as some tars leave it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backupkit/error.h"
#include "native/base/timestamp.h"
#include "native/io/holes.h"
#include "native/io/xattr.h"

namespace backupkit {

inline constexpr size_t kTarBlock = 512;
inline constexpr size_t kMaxTarPath = size_t{1} << 20U;     // of a path or a link target
inline constexpr size_t kMaxPaxRecords = size_t{4} << 20U;  // of the content of one 'x'
inline constexpr size_t kMaxGlobalRecords = size_t{16}
                                            << 10U;  // of all 'g': each entry pays for them

enum class EntryType : char {
  kFile = '0',
  kHardLink = '1',
  kSymlink = '2',
  kCharDevice = '3',
  kBlockDevice = '4',
  kDirectory = '5',
  kFifo = '6',
};

// A link_target is the text of a symlink, or the path of a hard link's first name. A path has no
// `/` at its end, also that of a directory.
struct Entry {
  std::string path;
  EntryType type = EntryType::kFile;
  uint32_t mode = 0;  // 07777
  uint64_t uid = 0;   // 32 bits, as gid
  uint64_t gid = 0;
  uint64_t size = 0;  // of a file, or of a hard link that brings the content along; with the holes
  Timestamp mtime;
  std::string link_target;
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  Xattrs xattrs;              // are_xattrs(); a hard link has those of its first name
  std::vector<Extent> holes;  // of a file, are_extents() of its size
  friend bool operator==(const Entry&, const Entry&) = default;
};

// The zeros that follow `size` bytes of content.
[[nodiscard]] constexpr uint64_t tar_padding(uint64_t size) {
  return (kTarBlock - size % kTarBlock) % kTarBlock;
}

// One decoded block.
struct TarHeader {
  enum class Kind { kEnd, kEntry, kGlobal, kExtended, kLongPath, kLongTarget, kLabel };

  // Of GNU's old form of a file with holes: `data` may go on in blocks behind the header.
  struct Sparse {
    std::vector<Extent> data;
    bool goes_on = false;
    uint64_t real_size = 0;
  };

  Kind kind = Kind::kEnd;
  Entry entry;             // of what is no kEntry only `size` counts; always what is in the archive
  bool is_sparse = false;  // then `sparse` counts
  Sparse sparse;
  bool is_listing = false;  // a directory whose content is a list of names
};

// Decodes a header. Error kUnpackFailed: a wrong checksum, a bad number, a type that is refused.
[[nodiscard]] Result<TarHeader> decode_header(std::span<const uint8_t, kTarBlock> block);

// Adds what a block behind an old sparse header says. Error kUnpackFailed: a bad number.
[[nodiscard]] Result<void> decode_sparse_block(std::span<const uint8_t, kTarBlock> block,
                                               TarHeader::Sparse& sparse);

// The last touch of a decoded entry: takes the `/` off a directory's path and "./" off every one,
// and checks that path, target, owner and size go with the type. Error kUnpackFailed: they do not.
[[nodiscard]] Result<void> settle_entry(Entry& entry);

}  // namespace backupkit
