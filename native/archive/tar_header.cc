#include "native/archive/tar_header.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "native/base/percent.h"

namespace backupkit {
namespace {

constexpr uint32_t kNanosPerSecond = 1'000'000'000;

// A field of the header: where it is, how long, and for numbers the greatest value whose octal
// digits leave room for a NUL.
struct Field {
  size_t offset;
  size_t length;

  [[nodiscard]] constexpr uint64_t greatest() const {
    return (uint64_t{1} << (3 * (length - 1))) - 1;
  }
};

constexpr Field kName{0, 100};
constexpr Field kMode{100, 8};
constexpr Field kUid{108, 8};
constexpr Field kGid{116, 8};
constexpr Field kSize{124, 12};
constexpr Field kMtime{136, 12};
constexpr Field kChecksum{148, 8};
constexpr size_t kType = 156;
constexpr Field kLinkName{157, 100};
constexpr Field kMagic{257, 8};
constexpr Field kDevMajor{329, 8};
constexpr Field kDevMinor{337, 8};
constexpr Field kPrefix{345, 155};

constexpr std::string_view kMagicText{"ustar\00000", 8};

using Block = std::array<char, kTarBlock>;

std::unexpected<Error> broken(std::string_view why) { return failure(Code::kUnpackFailed, why); }

// ---- encoding

void put_text(Block& block, Field field, std::string_view text) {
  std::memcpy(&block[field.offset], text.data(), std::min(text.size(), field.length));
}

// Octal digits up to the field's last byte, which stays NUL.
void put_number(Block& block, Field field, uint64_t value) {
  for (size_t i = field.length - 1; i > 0; --i) {
    block[field.offset + i - 1] = static_cast<char>('0' + static_cast<char>(value & 7U));
    value >>= 3U;
  }
}

uint64_t checksum_of(std::span<const uint8_t, kTarBlock> block) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kTarBlock; ++i) {
    const bool inside = i >= kChecksum.offset && i < kChecksum.offset + kChecksum.length;
    sum += inside ? static_cast<uint64_t>(' ') : block[i];
  }
  return sum;
}

std::span<const uint8_t, kTarBlock> bytes_of(const Block& block) {
  return std::span<const uint8_t, kTarBlock>(reinterpret_cast<const uint8_t*>(block.data()),
                                             kTarBlock);
}

void seal(Block& block) {
  put_text(block, kMagic, kMagicText);
  // "six octal digits, NUL, space": the form all tars write.
  put_number(block, {kChecksum.offset, 7}, checksum_of(bytes_of(block)));
  block[kChecksum.offset + 7] = ' ';
}

// Puts `path` into name, or into prefix and name where it can be cut at a `/`.
bool put_path(Block& block, std::string_view path) {
  if (path.size() <= kName.length) {
    put_text(block, kName, path);
    return true;
  }
  if (path.size() <= kPrefix.length + 1 + kName.length) {
    // The `/` must leave at most 100 bytes behind it, and at least one (a directory ends in `/`).
    const size_t cut = path.find('/', path.size() - kName.length - 1);
    if (cut != std::string_view::npos && cut > 0 && cut <= kPrefix.length &&
        cut + 1 < path.size()) {
      put_text(block, kPrefix, path.substr(0, cut));
      put_text(block, kName, path.substr(cut + 1));
      return true;
    }
  }
  put_text(block, kName, path.substr(0, kName.length));
  return false;
}

void add_record(std::string& records, std::string_view key, std::string_view value) {
  const size_t rest = key.size() + value.size() + 3;  // the space, `=` and the line feed
  size_t length = rest + 1;
  while (rest + std::to_string(length).size() != length) {
    length = rest + std::to_string(length).size();
  }
  records += std::to_string(length);
  records += ' ';
  records += key;
  records += '=';
  records += value;
  records += '\n';
}

// Decimal, the fraction only where there is one; -0.25 is {-1, 750000000}.
std::string time_text(Timestamp time) {
  if (time.nanoseconds == 0) return std::to_string(time.seconds);
  const bool negative = time.seconds < 0;
  const int64_t seconds = negative ? -(time.seconds + 1) : time.seconds;
  std::string digits =
      std::to_string(negative ? kNanosPerSecond - time.nanoseconds : time.nanoseconds);
  digits.insert(0, 9 - digits.size(), '0');
  digits.erase(digits.find_last_not_of('0') + 1);
  return (negative ? "-" : "") + std::to_string(seconds) + "." + digits;
}

void put_mtime(Block& block, Timestamp time, std::string& records) {
  const bool fits = time.seconds >= 0 && static_cast<uint64_t>(time.seconds) <= kMtime.greatest();
  put_number(block, kMtime, fits ? static_cast<uint64_t>(time.seconds) : 0);
  if (!fits || time.nanoseconds != 0) add_record(records, "mtime", time_text(time));
}

void put_or_record(Block& block, Field field, uint64_t value, std::string_view key,
                   std::string& records) {
  const bool fits = value <= field.greatest();
  put_number(block, field, fits ? value : 0);
  if (!fits) add_record(records, key, std::to_string(value));
}

void put_names(Block& block, const Entry& entry, std::string& records) {
  const std::string path = entry.type == EntryType::kDirectory ? entry.path + "/" : entry.path;
  std::string names;
  bool utf8 = true;
  if (!put_path(block, path)) {
    add_record(names, "path", path);
    utf8 = is_utf8(path);
  }
  put_text(block, kLinkName, entry.link_target);
  if (entry.link_target.size() > kLinkName.length) {
    add_record(names, "linkpath", entry.link_target);
    utf8 = utf8 && is_utf8(entry.link_target);
  }
  if (!utf8) add_record(records, "hdrcharset", "BINARY");  // else libarchive expects UTF-8
  records += names;
}

std::string record_header(size_t length) {
  Block block{};
  put_text(block, kName, "././@PaxHeader");
  put_number(block, kMode, 0644);
  put_number(block, kUid, 0);
  put_number(block, kGid, 0);
  put_number(block, kSize, length);
  put_number(block, kMtime, 0);
  block[kType] = 'x';
  seal(block);
  return {block.data(), block.size()};
}

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

Result<void> check(const Entry& entry) {
  const auto refuse = [&](std::string_view why) {
    return failure(Code::kInvalidArgument, "\"" + entry.path.substr(0, 4096) +
                                               "\" cannot be archived: " + std::string(why));
  };
  if (entry.path.empty() || has_nul(entry.path) || entry.path.back() == '/') {
    return refuse("not a path");
  }
  if (has_nul(entry.link_target)) return refuse("a NUL in its target");
  // Half of what one block of records may have, so that the rest of them fits in any case.
  constexpr size_t kMost = kMaxPaxRecords / 2 - 512;
  if (entry.path.size() > kMost || entry.link_target.size() > kMost) return refuse("too long");
  if (entry.type != EntryType::kFile && entry.size != 0) return refuse("only a file has content");
  if (entry.device_major > kDevMajor.greatest() || entry.device_minor > kDevMinor.greatest()) {
    return refuse("a device number too large for tar");
  }
  if (entry.mtime.nanoseconds >= kNanosPerSecond ||
      entry.mtime.seconds == std::numeric_limits<int64_t>::min()) {
    return refuse("not a time");
  }
  return {};
}

// ---- decoding

std::string_view text_in(std::span<const uint8_t, kTarBlock> block, Field field) {
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
Result<int64_t> signed_in(std::span<const uint8_t, kTarBlock> block, Field field) {
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

Result<uint64_t> number_in(std::span<const uint8_t, kTarBlock> block, Field field) {
  const auto value = signed_in(block, field);
  if (!value) return failure(value.error());
  if (*value < 0) return broken("a number is negative");
  return static_cast<uint64_t>(*value);
}

bool is_zero(std::span<const uint8_t, kTarBlock> block) {
  return std::ranges::all_of(block, [](uint8_t byte) { return byte == 0; });
}

Result<void> verify(std::span<const uint8_t, kTarBlock> block) {
  const auto expected = number_in(block, kChecksum);
  if (!expected || *expected != checksum_of(block)) return broken("wrong header checksum");
  const std::string_view magic(reinterpret_cast<const char*>(block.data()) + kMagic.offset,
                               kMagic.length);
  if (magic != kMagicText) return broken("not a POSIX tar header (GNU or older format)");
  return {};
}

// One number field after the other; the first bad one is the error.
Result<void> read_numbers(std::span<const uint8_t, kTarBlock> block, Entry& entry) {
  const std::array fields{kMode, kUid, kGid, kSize, kDevMajor, kDevMinor};
  std::array<uint64_t, 6> values{};
  for (size_t i = 0; i < fields.size(); ++i) {
    const auto value = number_in(block, fields[i]);
    if (!value) return failure(value.error());
    values[i] = *value;
  }
  entry.mode = static_cast<uint32_t>(values[0] & 07777U);
  entry.uid = values[1];
  entry.gid = values[2];
  entry.size = values[3];
  const auto mtime = signed_in(block, kMtime);
  if (!mtime) return failure(mtime.error());
  entry.mtime = {*mtime, 0};
  const bool device = entry.type == EntryType::kCharDevice || entry.type == EntryType::kBlockDevice;
  entry.device_major = device ? static_cast<uint32_t>(values[4]) : 0;  // 24 bits at most
  entry.device_minor = device ? static_cast<uint32_t>(values[5]) : 0;
  return {};
}

bool is_entry_type(char type) { return type >= '0' && type <= '6'; }

std::optional<uint64_t> whole_number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The digits behind the point; what is finer than a nanosecond is cut off.
std::optional<uint32_t> fraction(std::string_view digits) {
  uint32_t nanos = 0;
  uint32_t unit = kNanosPerSecond;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return std::nullopt;
    unit /= 10;
    nanos += static_cast<uint32_t>(digit - '0') * unit;
  }
  return nanos;
}

std::optional<Timestamp> time_of(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const size_t point = text.find('.');
  const auto seconds = whole_number(text.substr(0, point));
  const auto nanos = fraction(point == std::string_view::npos ? "" : text.substr(point + 1));
  constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (!seconds || !nanos || *seconds > kMost) return std::nullopt;
  const auto whole = static_cast<int64_t>(*seconds);
  if (!negative) return Timestamp{whole, *nanos};
  if (*nanos == 0) return Timestamp{-whole, 0};
  return Timestamp{-whole - 1, kNanosPerSecond - *nanos};
}

bool is_known(std::string_view key) {
  constexpr std::array<std::string_view, 6> kKeys{"path", "linkpath", "size",
                                                  "uid",  "gid",      "mtime"};
  return std::ranges::find(kKeys, key) != kKeys.end();
}

constexpr std::string_view kSparse = "GNU.sparse";

// Takes the first record off `text`.
Result<void> take_record(std::string_view& text, PaxRecords& records) {
  const size_t space = text.substr(0, 8).find(' ');
  const auto counted =
      space == std::string_view::npos ? std::nullopt : whole_number(text.substr(0, space));
  if (!counted || *counted > text.size()) return broken("a pax record of a wrong length");
  const auto length = static_cast<size_t>(*counted);
  if (length < space + 2 || text[length - 1] != '\n') {
    return broken("a pax record of a wrong length");
  }
  const std::string_view record = text.substr(space + 1, length - space - 2);
  const size_t equals = record.find('=');
  if (equals == std::string_view::npos || equals == 0) return broken("a pax record without a key");
  const std::string_view key = record.substr(0, equals);
  const std::string_view value = record.substr(equals + 1);
  if (is_known(key) && value.empty()) records.erase(std::string(key));
  if (is_known(key) && !value.empty()) records.insert_or_assign(std::string(key), value);
  if (key.starts_with(kSparse)) records.insert_or_assign(std::string(kSparse), value);
  text.remove_prefix(length);
  return {};
}

Result<void> apply_number(const PaxRecords& records, std::string_view key, uint64_t& field) {
  const auto record = records.find(key);
  if (record == records.end()) return {};
  const auto value = whole_number(record->second);
  if (!value) return broken("a pax record " + std::string(key) + " is not a number");
  field = *value;
  return {};
}

Result<void> apply_text(const PaxRecords& records, std::string_view key, std::string& field) {
  const auto record = records.find(key);
  if (record == records.end()) return {};
  if (has_nul(record->second)) return broken("a NUL in a pax record " + std::string(key));
  field = record->second;
  return {};
}

}  // namespace

Result<void> encode_header(const Entry& entry, std::string& out) {
  if (auto checked = check(entry); !checked) return checked;
  Block block{};
  std::string records;
  put_names(block, entry, records);
  put_number(block, kMode, entry.mode & 07777U);
  put_or_record(block, kUid, entry.uid, "uid", records);
  put_or_record(block, kGid, entry.gid, "gid", records);
  put_or_record(block, kSize, entry.size, "size", records);
  put_mtime(block, entry.mtime, records);
  block[kType] = static_cast<char>(entry.type);
  put_number(block, kDevMajor, entry.device_major);
  put_number(block, kDevMinor, entry.device_minor);
  seal(block);
  if (!records.empty()) {
    out += record_header(records.size());
    out += records;
    out.append(static_cast<size_t>(tar_padding(records.size())), '\0');
  }
  out.append(block.data(), block.size());
  return {};
}

Result<TarHeader> decode_header(std::span<const uint8_t, kTarBlock> block) {
  TarHeader header;
  if (is_zero(block)) return header;
  if (auto verified = verify(block); !verified) return failure(verified.error());
  char type = static_cast<char>(block[kType]);
  if (type == '\0' || type == '7') type = '0';
  if (type == 'x') {
    header.kind = TarHeader::Kind::kExtended;
  } else if (type == 'g') {
    header.kind = TarHeader::Kind::kGlobal;
  } else if (is_entry_type(type)) {
    header.kind = TarHeader::Kind::kEntry;
    header.entry.type = static_cast<EntryType>(type);
  } else {
    return broken("an entry of an unknown type");
  }
  if (auto read = read_numbers(block, header.entry); !read) return failure(read.error());
  const std::string_view prefix = text_in(block, kPrefix);
  if (!prefix.empty()) header.entry.path = std::string(prefix) + "/";
  header.entry.path += text_in(block, kName);
  header.entry.link_target = text_in(block, kLinkName);
  return header;
}

Result<void> decode_records(std::string_view text, PaxRecords& records) {
  while (!text.empty()) {
    if (auto taken = take_record(text, records); !taken) return taken;
  }
  return {};
}

Result<void> apply_records(const PaxRecords& records, Entry& entry) {
  if (records.empty()) return {};
  if (records.contains(kSparse)) return broken("a sparse file, which is not supported");
  Entry applied = entry;
  for (const auto& done :
       {apply_text(records, "path", applied.path),
        apply_text(records, "linkpath", applied.link_target),
        apply_number(records, "size", applied.size), apply_number(records, "uid", applied.uid),
        apply_number(records, "gid", applied.gid)}) {
    if (!done) return done;
  }
  if (const auto record = records.find("mtime"); record != records.end()) {
    const auto time = time_of(record->second);
    if (!time) return broken("a pax record mtime is not a time");
    applied.mtime = *time;
  }
  entry = std::move(applied);
  return {};
}

Result<void> settle_entry(Entry& entry) {
  while (entry.path.ends_with('/')) {
    if (entry.type == EntryType::kFile) return broken("a file whose path ends in /");
    entry.path.pop_back();
  }
  if (entry.path.empty()) return broken("an entry without a path");
  const bool linked = entry.type == EntryType::kHardLink || entry.type == EntryType::kSymlink;
  if (!linked) entry.link_target.clear();
  if (linked && entry.link_target.empty()) return broken("a link without a target");
  if (entry.type != EntryType::kFile && entry.size != 0) {
    return broken("an entry that is no file has content");
  }
  return {};
}

}  // namespace backupkit
