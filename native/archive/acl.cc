#include "native/archive/acl.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace backupkit {
namespace {

constexpr uint32_t kVersion = 2;
constexpr size_t kVersionSize = 4;
constexpr size_t kEntrySize = 8;
constexpr uint32_t kNoId = 0xFFFFFFFF;
constexpr std::string_view kPermissions = "rwx";

enum Tag : uint16_t {
  kUserObject = 0x01,
  kUser = 0x02,
  kGroupObject = 0x04,
  kGroup = 0x08,
  kMask = 0x10,
  kOther = 0x20,
};

struct AclEntry {
  uint16_t tag = 0;
  uint16_t permissions = 0;
  uint32_t id = kNoId;
};

uint32_t number_at(std::string_view bytes, size_t at, size_t length) {
  uint32_t value = 0;
  for (size_t i = 0; i < length; ++i) {
    value |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[at + i])) << (8 * i);
  }
  return value;
}

void append_number(std::string& bytes, uint32_t value, size_t length) {
  for (size_t i = 0; i < length; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFFU);
}

bool has_id(uint16_t tag) { return tag == kUser || tag == kGroup; }

std::string_view word_of(uint16_t tag) {
  switch (tag) {
    case kUserObject:
    case kUser:
      return "user";
    case kGroupObject:
    case kGroup:
      return "group";
    case kMask:
      return "mask";
    case kOther:
      return "other";
    default:
      return "";
  }
}

// Takes what stands before the next of `separators` off `text`.
std::string_view take_word(std::string_view& text, std::string_view separators) {
  const size_t end = text.find_first_of(separators);
  const auto word = text.substr(0, end);
  text.remove_prefix(std::min(text.size(), word.size() + 1));
  return word;
}

std::optional<uint32_t> id_of(std::string_view text) {
  uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return id;
}

std::optional<uint16_t> tag_of(std::string_view word, bool is_named) {
  if (word == "user" || word == "u") return is_named ? kUser : kUserObject;
  if (word == "group" || word == "g") return is_named ? kGroup : kGroupObject;
  if ((word == "mask" || word == "m") && !is_named) return kMask;
  if ((word == "other" || word == "o") && !is_named) return kOther;
  return std::nullopt;
}

std::optional<AclEntry> entry_of(std::string_view text) {
  const auto word = take_word(text, ":");
  const auto name = take_word(text, ":");
  const auto permissions = take_word(text, ":");
  const auto tag = tag_of(word, !name.empty());
  if (!tag || permissions.size() != kPermissions.size()) return std::nullopt;
  AclEntry entry;
  entry.tag = *tag;
  for (size_t i = 0; i < kPermissions.size(); ++i) {
    if (permissions[i] != kPermissions[i] && permissions[i] != '-') return std::nullopt;
    if (permissions[i] != '-') entry.permissions |= static_cast<uint16_t>(4U >> i);
  }
  if (!has_id(*tag)) return entry;
  const auto id = id_of(text.empty() ? name : text);
  if (!id) return std::nullopt;
  entry.id = *id;
  return entry;
}

}  // namespace

std::optional<std::string> acl_text(std::string_view xattr) {
  if (xattr.size() < kVersionSize + kEntrySize || (xattr.size() - kVersionSize) % kEntrySize != 0 ||
      number_at(xattr, 0, kVersionSize) != kVersion) {
    return std::nullopt;
  }
  std::string text;
  for (size_t at = kVersionSize; at < xattr.size(); at += kEntrySize) {
    const auto tag = static_cast<uint16_t>(number_at(xattr, at, 2));
    const uint32_t permissions = number_at(xattr, at + 2, 2);
    const auto word = word_of(tag);
    if (word.empty() || permissions > 7) return std::nullopt;
    if (!text.empty()) text += ',';
    text += word;
    text += ':';
    if (has_id(tag)) text += std::to_string(number_at(xattr, at + 4, 4));
    text += ':';
    for (size_t i = 0; i < kPermissions.size(); ++i) {
      text += (permissions & (4U >> i)) != 0 ? kPermissions[i] : '-';
    }
  }
  return text;
}

std::optional<std::string> acl_xattr(std::string_view text) {
  std::vector<AclEntry> entries;
  while (!text.empty()) {
    const auto line = take_word(text, ",\n");
    if (line.empty()) continue;
    const auto entry = entry_of(line);
    if (!entry) return std::nullopt;
    entries.push_back(*entry);
  }
  if (entries.empty()) return std::nullopt;
  // The kernel takes them in this order only, and bsdtar writes another. Those that come twice keep
  // theirs.
  std::ranges::stable_sort(entries, {}, [](const AclEntry& e) { return std::pair(e.tag, e.id); });
  std::string bytes;
  append_number(bytes, kVersion, kVersionSize);
  for (const AclEntry& entry : entries) {
    append_number(bytes, entry.tag, 2);
    append_number(bytes, entry.permissions, 2);
    append_number(bytes, entry.id, 4);
  }
  return bytes;
}

}  // namespace backupkit
