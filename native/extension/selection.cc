#include "native/extension/selection.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "native/base/hash.h"
#include "native/manifest/manifest_reader.h"

namespace backupkit {
namespace {

constexpr uint64_t kSeed = 0x6261636b75706b74;  // any: two paths of one backup do not collide by it

constexpr uint64_t kNoted = 1;

uint64_t hash_of(std::string_view path) {
  return hash64(std::span(reinterpret_cast<const uint8_t*>(path.data()), path.size()), kSeed);
}

// With the lowest bit free.
uint64_t hash_of_metadata(EntryType type, uint64_t mode, uint64_t uid, uint64_t gid,
                          Timestamp mtime) {
  const std::array<uint64_t, 6> all{
      static_cast<uint64_t>(type),          mode & 07777U,    uid, gid,
      static_cast<uint64_t>(mtime.seconds), mtime.nanoseconds};
  const auto* bytes = reinterpret_cast<const uint8_t*>(all.data());
  return hash64(std::span(bytes, sizeof(all)), kSeed) & ~kNoted;
}

uint64_t hash_of_metadata(const ManifestRow& row) {
  return hash_of_metadata(row.type, row.mode, row.uid, row.gid, row.mtime);
}

Result<bool> is_empty(BorrowedFd manifest) {
  struct stat state{};
  if (::fstat(manifest.get(), &state) != 0) return errno_failure("a manifest");
  return state.st_size == 0;
}

Error damaged(const std::string& uri, const Error& error) {
  return {Code::kUnpackFailed, error.sys_errno,
          "the manifest beside '" + uri + "' cannot be used: " + error.context};
}

}  // namespace

auto* Selection::find(auto& listed, const std::string& uri, std::string_view path) {
  const auto file = listed.find(uri);
  using Found = decltype(&*file->second.begin());
  if (file == listed.end()) return Found{};
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const auto hash = hash_of(path);
  const auto row = std::ranges::lower_bound(file->second, hash, {}, &Row::path);
  return row != file->second.end() && row->path == hash ? &*row : Found{};
}

Result<void> Selection::read_own(const std::string& uri, BorrowedFd manifest) {
  auto empty = is_empty(manifest);
  if (!empty) return failure(empty.error());
  if (*empty) return {};
  auto reader = ManifestReader::open(manifest);
  if (!reader) return failure(damaged(uri, reader.error()));
  Rows rows;
  for (;;) {
    auto next = (*reader)->next();
    if (!next) return failure(damaged(uri, next.error()));
    const auto& row = *next;
    if (!row) break;
    rows.push_back({hash_of(row->path), hash_of_metadata(*row)});
  }
  std::ranges::sort(rows, {}, &Row::path);
  listed_[uri] = std::move(rows);
  return {};
}

Result<void> Selection::read_complete(BorrowedFd manifest) {
  auto empty = is_empty(manifest);
  if (!empty) return failure(empty.error());
  if (*empty) return {};
  const std::string name = "manage.json";
  auto reader = ManifestReader::open(manifest);
  if (!reader) return failure(damaged(name, reader.error()));
  if ((*reader)->version() == ManifestVersion::k1) return {};
  std::map<std::string, Rows> listed;
  for (;;) {
    auto next = (*reader)->next();
    if (!next) return failure(damaged(name, next.error()));
    const auto& row = *next;
    if (!row) break;
    if (row->in.empty()) {
      return failure(Code::kUnpackFailed,
                     "the manifest does not say which file holds '" + row->path + "'");
    }
    listed[row->in].push_back({hash_of(row->path), hash_of_metadata(*row)});
    need(*row);
  }
  for (auto& [uri, rows] : listed) std::ranges::sort(rows, {}, &Row::path);
  listed_ = std::move(listed);
  complete_ = true;
  return {};
}

void Selection::need(const ManifestRow& row) {
  needed_.emplace(row.in, row.path);
  if (row.type == EntryType::kFile) places_.emplace(row.in, row.path);
}

const std::string* Selection::place_of(const std::string& uri) const {
  const auto found = places_.find(uri);
  return found == places_.end() ? nullptr : &found->second;
}

bool Selection::takes(const std::string& uri, std::string_view path) const {
  return listed_.contains(uri) ? find(listed_, uri, path) != nullptr : !complete_;
}

void Selection::note(const std::string& uri, const Entry& entry) {
  auto* row = find(listed_, uri, entry.path);
  if (row == nullptr) return;
  const auto wanted = row->metadata & ~kNoted;
  const auto noted = hash_of_metadata(entry.type, entry.mode, entry.uid, entry.gid, entry.mtime);
  row->metadata = noted == wanted ? wanted | kNoted : wanted;
}

bool Selection::is_noted(const ManifestRow& row) const {
  const auto* found = find(listed_, row.in, row.path);
  return found != nullptr && (found->metadata & kNoted) != 0;
}

bool Selection::are_all_noted() const {
  const auto is_noted = [](const Row& row) { return (row.metadata & kNoted) != 0; };
  return std::ranges::all_of(
      listed_, [&](const auto& file) { return std::ranges::all_of(file.second, is_noted); });
}

}  // namespace backupkit
