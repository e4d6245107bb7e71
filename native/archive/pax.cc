#include "native/archive/pax.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "native/archive/acl.h"
#include "native/base/base64.h"
#include "native/base/percent.h"

namespace backupkit {
namespace {

constexpr uint32_t kNanosPerSecond = 1'000'000'000;
constexpr std::string_view kXattr = "SCHILY.xattr.";
constexpr std::string_view kBase64Xattr = "LIBARCHIVE.xattr.";
constexpr std::string_view kSparse = "GNU.sparse.";
constexpr std::string_view kSparseMap = "GNU.sparse.map";

// The ACLs' records and attributes.
constexpr std::array kAcls{std::pair{std::string_view("SCHILY.acl.access"), kAccessAcl},
                           std::pair{std::string_view("SCHILY.acl.default"), kDefaultAcl}};

std::unexpected<Error> broken(std::string_view why) { return failure(Code::kUnpackFailed, why); }

std::string key_of(std::string_view xattr) {
  std::string key(kXattr);
  for (const char c : xattr) {
    if (c == '%') {
      key += "%25";
    } else if (c == '=') {
      key += "%3D";
    } else {
      key += c;
    }
  }
  return key;
}

// star does not encode names: what cannot be decoded stands for itself.
std::string name_in(std::string_view key) {
  auto decoded = percent_decode(key);
  return decoded ? std::move(*decoded) : std::string(key);
}

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
  constexpr std::array<std::string_view, 10> kKeys{"path",
                                                   "linkpath",
                                                   "size",
                                                   "uid",
                                                   "gid",
                                                   "mtime",
                                                   "SCHILY.acl.access",
                                                   "SCHILY.acl.default",
                                                   "SCHILY.devmajor",
                                                   "SCHILY.devminor"};
  return std::ranges::find(kKeys, key) != kKeys.end() || key.starts_with(kSparse);
}

void keep(std::string_view key, std::string_view value, PaxRecords& records) {
  if (key == "GNU.sparse.offset" || key == "GNU.sparse.numbytes") {
    std::string& map = records[std::string(kSparseMap)];
    if (!map.empty()) map += ',';
    map += value;
    return;
  }
  const bool is_xattr = key.starts_with(kXattr) || key.starts_with(kBase64Xattr);
  if (!is_xattr && !is_known(key)) return;
  if (!is_xattr && value.empty()) {
    records.erase(std::string(key));
  } else {
    records.insert_or_assign(std::string(key), value);
  }
}

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
  keep(record.substr(0, equals), record.substr(equals + 1), records);
  text.remove_prefix(length);
  return {};
}

template <typename T>
Result<void> apply_number(const PaxRecords& records, std::string_view key, T& field) {
  const auto record = records.find(key);
  if (record == records.end()) return {};
  const auto value = whole_number(record->second);
  if (!value || *value > std::numeric_limits<T>::max()) {
    return broken("a pax record " + std::string(key) + " is not a number");
  }
  field = static_cast<T>(*value);
  return {};
}

Result<void> apply_text(const PaxRecords& records, std::string_view key, std::string& field) {
  const auto record = records.find(key);
  if (record == records.end()) return {};
  if (record->second.find('\0') != std::string::npos) {
    return broken("a NUL in a pax record " + std::string(key));
  }
  field = record->second;
  return {};
}

Result<void> apply_time(const PaxRecords& records, Timestamp& field) {
  const auto record = records.find("mtime");
  if (record == records.end()) return {};
  const auto time = time_of(record->second);
  if (!time) return broken("a pax record mtime is not a time");
  field = *time;
  return {};
}

Result<void> apply_device(const PaxRecords& records, Entry& entry) {
  if (entry.type != EntryType::kCharDevice && entry.type != EntryType::kBlockDevice) return {};
  if (auto done = apply_number(records, "SCHILY.devmajor", entry.device_major); !done) return done;
  return apply_number(records, "SCHILY.devminor", entry.device_minor);
}

// The records whose keys begin with `prefix`.
auto under(const PaxRecords& records, std::string_view prefix) {
  const auto begin = records.lower_bound(prefix);
  const auto end = std::find_if(
      begin, records.end(), [&](const auto& record) { return !record.first.starts_with(prefix); });
  return std::ranges::subrange(begin, end);
}

Result<void> apply_xattrs(const PaxRecords& records, Xattrs& xattrs) {
  for (const auto& [key, value] : under(records, kXattr)) {
    xattrs.insert_or_assign(name_in(std::string_view(key).substr(kXattr.size())), value);
  }
  for (const auto& [key, value] : under(records, kBase64Xattr)) {
    auto bytes = base64_decode(value);
    if (!bytes) return broken("a pax record " + key + " is not base64");
    xattrs.emplace(name_in(std::string_view(key).substr(kBase64Xattr.size())), std::move(*bytes));
  }
  for (const auto& [key, name] : kAcls) {
    const auto record = records.find(key);
    if (record == records.end() || xattrs.contains(name)) continue;
    auto acl = acl_xattr(record->second);
    if (!acl) return broken("an ACL that is none, or that names a user or group without its id");
    xattrs.emplace(name, std::move(*acl));
  }
  return {};
}

}  // namespace

void append_record(std::string& text, std::string_view key, std::string_view value) {
  const size_t rest = key.size() + value.size() + 3;  // the space, `=` and the line feed
  size_t length = rest + 1;
  while (rest + std::to_string(length).size() != length) {
    length = rest + std::to_string(length).size();
  }
  text += std::to_string(length);
  text += ' ';
  text += key;
  text += '=';
  text += value;
  text += '\n';
}

void append_xattrs(std::string& text, const Xattrs& xattrs) {
  for (const auto& [key, name] : kAcls) {
    const auto acl = xattrs.find(name);
    if (acl == xattrs.end()) continue;
    if (const auto words = acl_text(acl->second)) append_record(text, key, *words);
  }
  for (const auto& [name, value] : xattrs) append_record(text, key_of(name), value);
}

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

Result<void> decode_records(std::string_view text, PaxRecords& records) {
  while (!text.empty()) {
    if (auto taken = take_record(text, records); !taken) return taken;
  }
  return {};
}

Result<void> apply_records(const PaxRecords& records, Entry& entry) {
  if (records.empty()) return {};
  Entry applied = entry;
  for (const auto& done :
       {apply_text(records, "path", applied.path),
        apply_text(records, "linkpath", applied.link_target),
        apply_number(records, "size", applied.size), apply_number(records, "uid", applied.uid),
        apply_number(records, "gid", applied.gid), apply_time(records, applied.mtime),
        apply_device(records, applied), apply_xattrs(records, applied.xattrs)}) {
    if (!done) return done;
  }
  entry = std::move(applied);
  return {};
}

}  // namespace backupkit
