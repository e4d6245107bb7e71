#include "native/archive/tar_header.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "native/archive/tar_block.h"

namespace backupkit {
namespace {

using TarBlock = std::span<const uint8_t, kTarBlock>;

std::unexpected<Error> broken(std::string_view why) { return failure(Code::kUnpackFailed, why); }

std::string_view text_in(TarBlock block, tar::Field field) {
  const auto* begin = reinterpret_cast<const char*>(block.data()) + field.offset;
  const std::string_view text(begin, field.length);
  return text.substr(0, text.find('\0'));
}

// Two's complement, big-endian, marked by the first bit: what others write where octal digits do
// not suffice, often with a record beside it.
Result<int64_t> binary_in(std::span<const uint8_t> bytes) {
  const bool negative = (bytes[0] & 0x40U) != 0;
  uint64_t value = (negative ? ~uint64_t{0} << 6U : 0) | (bytes[0] & 0x3FU);
  for (const uint8_t byte : bytes.subspan(1)) {
    if (value >> 55U != (negative ? 0x1FFU : 0U)) return broken("a number is out of range");
    value = value << 8U | byte;
  }
  return static_cast<int64_t>(value);
}

// Spaces, octal digits, then spaces or NULs to the end; nothing at all is 0.
Result<int64_t> signed_in(TarBlock block, tar::Field field) {
  const auto bytes = block.subspan(field.offset, field.length);
  if ((bytes[0] & 0x80U) != 0) return binary_in(bytes);
  size_t i = 0;
  while (i < bytes.size() && bytes[i] == ' ') ++i;
  uint64_t value = 0;  // 12 digits are 36 bits: no overflow
  for (; i < bytes.size() && bytes[i] >= '0' && bytes[i] <= '7'; ++i) {
    value = value << 3U | static_cast<uint64_t>(bytes[i] - '0');
  }
  for (; i < bytes.size(); ++i) {
    if (bytes[i] != 0 && bytes[i] != ' ') return broken("a number in the header is not octal");
  }
  return static_cast<int64_t>(value);
}

Result<uint64_t> number_in(TarBlock block, tar::Field field) {
  const auto value = signed_in(block, field);
  if (!value) return failure(value.error());
  if (*value < 0) return broken("a number is negative");
  return static_cast<uint64_t>(*value);
}

bool is_zero(TarBlock block) {
  return std::ranges::all_of(block, [](uint8_t byte) { return byte == 0; });
}

Result<void> verify(TarBlock block) {
  const auto expected = signed_in(block, tar::kChecksum);
  if (!expected ||
      (*expected != tar::checksum_of(block, false) && *expected != tar::checksum_of(block, true))) {
    return broken("wrong header checksum");
  }
  return {};
}

// One number field after the other; the first bad one is the error.
Result<void> read_numbers(TarBlock block, Entry& entry) {
  const std::array fields{tar::kMode, tar::kUid, tar::kGid, tar::kSize};
  std::array<uint64_t, fields.size()> values{};
  for (size_t i = 0; i < fields.size(); ++i) {
    const auto value = number_in(block, fields[i]);
    if (!value) return failure(value.error());
    values[i] = *value;
  }
  entry.mode = static_cast<uint32_t>(values[0] & 07777U);
  entry.uid = values[1];
  entry.gid = values[2];
  entry.size = values[3];
  const auto mtime = signed_in(block, tar::kMtime);
  if (!mtime) return failure(mtime.error());
  entry.mtime = {*mtime, 0};
  return {};
}

Result<void> read_device(TarBlock block, Entry& entry) {
  const auto major = number_in(block, tar::kDevMajor);
  if (!major) return failure(major.error());
  const auto minor = number_in(block, tar::kDevMinor);
  if (!minor) return failure(minor.error());
  constexpr uint64_t kMost = std::numeric_limits<uint32_t>::max();
  if (*major > kMost || *minor > kMost) return broken("a device number is out of range");
  entry.device_major = static_cast<uint32_t>(*major);
  entry.device_minor = static_cast<uint32_t>(*minor);
  return {};
}

// Pairs up to the first one that is empty.
Result<void> read_pairs(TarBlock block, size_t at, size_t count, std::vector<Extent>& data) {
  for (size_t i = 0; i < count; ++i, at += 2 * tar::kSparseNumber) {
    if (block[at] == 0) return {};
    const auto offset = number_in(block, {at, tar::kSparseNumber});
    if (!offset) return failure(offset.error());
    const auto length = number_in(block, {at + tar::kSparseNumber, tar::kSparseNumber});
    if (!length) return failure(length.error());
    if (data.size() == kMaxHoles) return broken("a file with too many holes");
    data.push_back({*offset, *length});
  }
  return {};
}

Result<void> read_sparse(TarBlock block, TarHeader& header) {
  header.is_sparse = true;
  header.entry.type = EntryType::kFile;
  const auto real_size = number_in(block, tar::kRealSize);
  if (!real_size) return failure(real_size.error());
  header.sparse.real_size = *real_size;
  header.sparse.goes_on = block[tar::kSparseGoesOn] != 0;
  return read_pairs(block, tar::kSparseAt, tar::kSparsePairs, header.sparse.data);
}

// What is known by the type alone. Error kUnpackFailed: nothing.
Result<void> read_type(char type, TarHeader& header) {
  using Kind = TarHeader::Kind;
  header.kind = Kind::kEntry;
  switch (type) {
    case '\0':
    case '7':
    case 'S':
      header.entry.type = EntryType::kFile;
      return {};
    case 'D':
      header.is_listing = true;
      header.entry.type = EntryType::kDirectory;
      return {};
    case 'x':
    case 'X':
      header.kind = Kind::kExtended;
      return {};
    case 'g':
      header.kind = Kind::kGlobal;
      return {};
    case 'L':
      header.kind = Kind::kLongPath;
      return {};
    case 'K':
      header.kind = Kind::kLongTarget;
      return {};
    case 'V':
      header.kind = Kind::kLabel;
      return {};
    case 'M':
      return broken("the rest of a file that begins on another volume");
    default:
      if (type < '0' || type > '6') return broken("an entry of an unknown type");
      header.entry.type = static_cast<EntryType>(type);
      return {};
  }
}

std::string_view magic_in(TarBlock block) {
  return {reinterpret_cast<const char*>(block.data()) + tar::kMagic.offset, tar::kMagic.length};
}

void read_names(TarBlock block, bool is_posix, Entry& entry) {
  const auto prefix = is_posix ? text_in(block, tar::kPrefix) : std::string_view();
  if (!prefix.empty()) entry.path = std::string(prefix) + "/";
  entry.path += text_in(block, tar::kName);
  entry.link_target = text_in(block, tar::kLinkName);
}

bool is_device(const Entry& entry) {
  return entry.type == EntryType::kCharDevice || entry.type == EntryType::kBlockDevice;
}

// Takes from the front of a path what means the directory that the archive is unpacked in.
void make_plain(std::string& path) {
  size_t at = 0;
  while (path.compare(at, 2, "./") == 0)
    at = std::min(path.find_first_not_of('/', at + 1), path.size());
  path.erase(0, at);
}

}  // namespace

Result<TarHeader> decode_header(TarBlock block) {
  TarHeader header;
  if (is_zero(block)) return header;
  if (auto verified = verify(block); !verified) return failure(verified.error());
  const char type = static_cast<char>(block[tar::kType]);
  if (auto read = read_type(type, header); !read) return failure(read.error());
  if (auto read = read_numbers(block, header.entry); !read) return failure(read.error());
  const auto magic = magic_in(block);
  read_names(block, magic.starts_with(tar::kPosixMagic.substr(0, 6)), header.entry);
  Result<void> read;
  if (is_device(header.entry)) read = read_device(block, header.entry);
  if (type == 'S' && magic != tar::kGnuMagic) read = broken("a file with holes in an unknown form");
  if (type == 'S' && magic == tar::kGnuMagic) read = read_sparse(block, header);
  if (!read) return failure(read.error());
  return header;
}

Result<void> decode_sparse_block(TarBlock block, TarHeader::Sparse& sparse) {
  sparse.goes_on = block[tar::kMoreSparseGoesOn] != 0;
  return read_pairs(block, 0, tar::kMoreSparsePairs, sparse.data);
}

Result<void> settle_entry(Entry& entry) {
  if (entry.type == EntryType::kFile && entry.path.ends_with('/')) {
    entry.type = EntryType::kDirectory;
  }
  while (entry.path.ends_with('/')) entry.path.pop_back();
  make_plain(entry.path);
  if (entry.type == EntryType::kHardLink) make_plain(entry.link_target);
  if (entry.path.empty()) return broken("an entry without a path");
  if (entry.path.size() > kMaxTarPath || entry.link_target.size() > kMaxTarPath) {
    return broken("a path that is too long");
  }
  const bool linked = entry.type == EntryType::kHardLink || entry.type == EntryType::kSymlink;
  if (!linked) entry.link_target.clear();
  if (linked && entry.link_target.empty()) return broken("a link without a target");
  const bool has_content = entry.type == EntryType::kFile || entry.type == EntryType::kHardLink;
  if (!has_content && entry.size != 0) return broken("an entry that is no file has content");
  constexpr uint64_t kMostId = std::numeric_limits<uint32_t>::max();
  if (entry.uid > kMostId || entry.gid > kMostId) return broken("an owner past 32 bits");
  if (!are_xattrs(entry.xattrs)) return broken("extended attributes past their limits");
  return {};
}

}  // namespace backupkit
