#include "native/archive/tar_encode.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "native/archive/pax.h"
#include "native/archive/sparse.h"
#include "native/archive/tar_block.h"
#include "native/base/utf8.h"

namespace backupkit {
namespace {

constexpr uint32_t kNanosPerSecond = 1'000'000'000;

using Block = std::array<char, kTarBlock>;

void put_text(Block& block, tar::Field field, std::string_view text) {
  std::memcpy(&block[field.offset], text.data(), std::min(text.size(), field.length));
}

// Octal digits up to the field's last byte, which stays NUL.
void put_number(Block& block, tar::Field field, uint64_t value) {
  for (size_t i = field.length - 1; i > 0; --i) {
    block[field.offset + i - 1] = static_cast<char>('0' + static_cast<char>(value & 7U));
    value >>= 3U;
  }
}

void seal(Block& block) {
  put_text(block, tar::kMagic, tar::kPosixMagic);
  const std::span<const uint8_t, kTarBlock> bytes(reinterpret_cast<const uint8_t*>(block.data()),
                                                  kTarBlock);
  // "six octal digits, NUL, space": the form all tars write.
  put_number(block, {tar::kChecksum.offset, 7},
             static_cast<uint64_t>(tar::checksum_of(bytes, false)));
  block[tar::kChecksum.offset + 7] = ' ';
}

// Puts `path` into name, or into prefix and name where it can be cut at a `/`.
bool put_path(Block& block, std::string_view path) {
  constexpr tar::Field kName = tar::kName;
  if (path.size() <= kName.length) {
    put_text(block, kName, path);
    return true;
  }
  if (path.size() <= tar::kPrefix.length + 1 + kName.length) {
    // The `/` must leave at most 100 bytes behind it, and at least one (a directory ends in `/`).
    const size_t cut = path.find('/', path.size() - kName.length - 1);
    if (cut != std::string_view::npos && cut > 0 && cut <= tar::kPrefix.length &&
        cut + 1 < path.size()) {
      put_text(block, tar::kPrefix, path.substr(0, cut));
      put_text(block, kName, path.substr(cut + 1));
      return true;
    }
  }
  put_text(block, kName, path.substr(0, kName.length));
  return false;
}

void put_mtime(Block& block, Timestamp time, std::string& records) {
  const bool fits =
      time.seconds >= 0 && static_cast<uint64_t>(time.seconds) <= tar::kMtime.greatest();
  put_number(block, tar::kMtime, fits ? static_cast<uint64_t>(time.seconds) : 0);
  if (!fits || time.nanoseconds != 0) append_record(records, "mtime", time_text(time));
}

void put_or_record(Block& block, tar::Field field, uint64_t value, std::string_view key,
                   std::string& records) {
  const bool fits = value <= field.greatest();
  put_number(block, field, fits ? value : 0);
  if (!fits) append_record(records, key, std::to_string(value));
}

void put_names(Block& block, const Entry& entry, std::string& records) {
  const std::string path = entry.type == EntryType::kDirectory ? entry.path + "/" : entry.path;
  std::string names;
  bool utf8 = true;
  if (!entry.holes.empty()) {
    put_text(block, tar::kName, "GNUSparseFile.0/" + path.substr(path.rfind('/') + 1));
    append_record(names, "GNU.sparse.name", path);
    utf8 = is_utf8(path);
  } else if (!put_path(block, path)) {
    append_record(names, "path", path);
    utf8 = is_utf8(path);
  }
  put_text(block, tar::kLinkName, entry.link_target);
  if (entry.link_target.size() > tar::kLinkName.length) {
    append_record(names, "linkpath", entry.link_target);
    utf8 = utf8 && is_utf8(entry.link_target);
  }
  if (!utf8) append_record(records, "hdrcharset", "BINARY");  // else libarchive expects UTF-8
  records += names;
}

// Gives the map that goes before the data, and puts the size of both into the header.
std::string put_sparse_size(Block& block, const Entry& entry, std::string& records) {
  const auto stored = stored_extents(entry.holes, entry.size);
  std::string map = encode_sparse_map(stored, entry.size);
  uint64_t size = map.size();
  for (const Extent& extent : stored) size += extent.length;
  append_record(records, "GNU.sparse.major", "1");
  append_record(records, "GNU.sparse.minor", "0");
  append_record(records, "GNU.sparse.realsize", std::to_string(entry.size));
  put_or_record(block, tar::kSize, size, "size", records);
  return map;
}

std::string record_header(size_t length) {
  Block block{};
  put_text(block, tar::kName, "././@PaxHeader");
  put_number(block, tar::kMode, 0644);
  put_number(block, tar::kUid, 0);
  put_number(block, tar::kGid, 0);
  put_number(block, tar::kSize, length);
  put_number(block, tar::kMtime, 0);
  block[tar::kType] = 'x';
  seal(block);
  return {block.data(), block.size()};
}

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

std::unexpected<Error> refuse(const Entry& entry, std::string_view why) {
  return failure(Code::kInvalidArgument,
                 "\"" + entry.path.substr(0, 4096) + "\" cannot be archived: " + std::string(why));
}

Result<void> check(const Entry& entry) {
  if (entry.path.empty() || has_nul(entry.path) || entry.path.back() == '/') {
    return refuse(entry, "not a path");
  }
  if (has_nul(entry.link_target)) return refuse(entry, "a NUL in its target");
  if (entry.path.size() >= kMaxTarPath || entry.link_target.size() >= kMaxTarPath) {
    return refuse(entry, "too long");
  }
  const bool is_file = entry.type == EntryType::kFile;
  if (!is_file && entry.size != 0) return refuse(entry, "only a file has content");
  if (!is_file && !entry.holes.empty()) return refuse(entry, "only a file has holes");
  if (entry.size > std::numeric_limits<int64_t>::max()) return refuse(entry, "too large");
  if (!are_extents(entry.holes, entry.size)) return refuse(entry, "holes that are none");
  if (!are_xattrs(entry.xattrs)) return refuse(entry, "extended attributes past their limits");
  if (entry.device_major > tar::kDevMajor.greatest() ||
      entry.device_minor > tar::kDevMinor.greatest()) {
    return refuse(entry, "a device number too large for tar");
  }
  if (entry.mtime.nanoseconds >= kNanosPerSecond ||
      entry.mtime.seconds == std::numeric_limits<int64_t>::min()) {
    return refuse(entry, "not a time");
  }
  return {};
}

}  // namespace

Result<void> encode_header(const Entry& entry, std::string& out) {
  if (auto checked = check(entry); !checked) return checked;
  Block block{};
  std::string records;
  std::string map;
  put_names(block, entry, records);
  put_number(block, tar::kMode, entry.mode & 07777U);
  put_or_record(block, tar::kUid, entry.uid, "uid", records);
  put_or_record(block, tar::kGid, entry.gid, "gid", records);
  if (entry.holes.empty()) {
    put_or_record(block, tar::kSize, entry.size, "size", records);
  } else {
    map = put_sparse_size(block, entry, records);
  }
  put_mtime(block, entry.mtime, records);
  append_xattrs(records, entry.xattrs);
  block[tar::kType] = static_cast<char>(entry.type);
  put_number(block, tar::kDevMajor, entry.device_major);
  put_number(block, tar::kDevMinor, entry.device_minor);
  seal(block);
  if (records.size() > kMaxPaxRecords) return refuse(entry, "too much to say of it");
  if (!records.empty()) {
    out += record_header(records.size());
    out += records;
    out.append(static_cast<size_t>(tar_padding(records.size())), '\0');
  }
  out.append(block.data(), block.size());
  out += map;
  return {};
}

}  // namespace backupkit
