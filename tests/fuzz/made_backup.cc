#include "tests/fuzz/made_backup.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "native/archive/tar_encode.h"
#include "native/base/hash.h"
#include "native/manifest/manifest.h"
#include "native/manifest/walk_order.h"
#include "tests/fuzz/fuzzer.h"

namespace backupkit {
namespace {

constexpr size_t kMostEntries = 8;

constexpr std::array<std::string_view, 16> kPaths = {
    "a",   "d",    "d/b",       "d/c/e",   "way",   "way/secret",   "way/new",   "new/x",
    "new", "fifo", ".backup/x", "../near", "/near", "d/../../near", "d/b/under", "."};
constexpr std::array<std::string_view, 8> kTargets = {
    "a", "d/b", "../near", "/", "../near/secret", "way/secret", "/near/secret", "new/x"};
constexpr std::array kTypes = {EntryType::kFile,    EntryType::kFile,      EntryType::kDirectory,
                               EntryType::kSymlink, EntryType::kSymlink,   EntryType::kHardLink,
                               EntryType::kFifo,    EntryType::kCharDevice};

template <typename List>
auto pick(const List& list, ByteReader& choices) {
  return list[choices.get<uint8_t>() % list.size()];
}

std::string hash_of_text(std::string_view text) {
  return hash_of({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

Entry make_entry(ByteReader& choices) {
  Entry entry;
  entry.path = pick(kPaths, choices);
  entry.type = pick(kTypes, choices);
  const auto more = choices.get<uint8_t>();
  entry.mode = more % 8 == 7 ? 0 : 0700 | (more % 2) * 04000U;
  entry.mtime = {1'700'000'000, 0};
  if (entry.type == EntryType::kFile) entry.size = more;
  if (entry.type == EntryType::kHardLink || entry.type == EntryType::kSymlink) {
    entry.link_target = pick(kTargets, choices);
  }
  if (more >= 224) entry.xattrs["user.fuzz"] = "value";
  return entry;
}

// Its headers and contents, and its end unless that is missing.
std::string archive_of(const std::vector<Entry>& entries, bool has_end) {
  std::string archive;
  for (const auto& entry : entries) {
    if (!encode_header(entry, archive)) continue;
    archive.append(entry.size, 'x');
    archive.append(tar_padding(entry.size), '\0');
  }
  if (has_end) archive.append(2 * kTarBlock, '\0');
  return archive;
}

IndexItem item_of(const std::string& name, const std::string& content) {
  IndexItem item;
  item.file_name = name;
  item.path = name;
  item.size = content.size();
  item.mode = S_IFREG | 0600;
  item.hash = hash_of_text(content);
  return item;
}

uint32_t type_bits(EntryType type) {
  switch (type) {
    case EntryType::kDirectory:
      return S_IFDIR;
    case EntryType::kSymlink:
      return S_IFLNK;
    case EntryType::kFifo:
      return S_IFIFO;
    case EntryType::kCharDevice:
      return S_IFCHR;
    default:
      return S_IFREG;
  }
}

// A complete manifest of the entries, each said to be in the part.
std::string manifest_of(std::vector<Entry> entries) {
  std::ranges::sort(entries,
                    [](const Entry& a, const Entry& b) { return walk_order(a.path, b.path) < 0; });
  std::string text(kManifestHead);
  size_t rows = 0;
  std::string_view last;
  for (const auto& entry : entries) {
    if (entry.path == last) continue;
    ManifestRow row;
    row.path = entry.path;
    row.mode = type_bits(entry.type) | entry.mode;
    row.size = entry.size;
    row.mtime = entry.mtime;
    row.type = entry.type;
    row.in = kPartName;
    row.target = entry.link_target;
    if (entry.type == EntryType::kFile) row.hash = hash_of_text(std::string(entry.size, 'x'));
    if (append_row(row, text)) ++rows;
    last = entry.path;
  }
  const auto hash = hash_of_text(text).substr(std::string_view("xxh3:").size());
  return text + "end;" + std::to_string(rows) + ";" + hash + "\n";
}

}  // namespace

MadeBackup make_backup(ByteReader& choices) {
  const auto form = choices.get<uint8_t>();
  std::vector<Entry> entries(choices.get<uint8_t>() % kMostEntries);
  for (auto& entry : entries) entry = make_entry(choices);
  MadeBackup backup;
  backup.part = archive_of(entries, form % 8 != 7);
  backup.big = std::string(form, 'b');
  auto part = item_of(kPartName, backup.part);
  part.is_user_tar = true;
  part.entries = form % 4 == 0 ? entries.size() : 0;
  if (form % 16 == 15) part.hash.clear();
  auto big = item_of(kBigName, backup.big);
  big.is_big_file = true;
  big.path = pick(kPaths, choices);
  if (form >= 128) big.links = {std::string(pick(kPaths, choices))};
  backup.index = write_index({part, big});
  if (form % 3 != 0) backup.manifest = manifest_of(entries);
  return backup;
}

}  // namespace backupkit
