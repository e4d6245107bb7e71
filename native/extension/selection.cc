#include "native/extension/selection.h"

#include <sys/stat.h>

#include <algorithm>
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

uint64_t hash_of(std::string_view path) {
  return hash64(std::span(reinterpret_cast<const uint8_t*>(path.data()), path.size()), kSeed);
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

Result<void> Selection::read_own(const std::string& uri, BorrowedFd manifest) {
  auto empty = is_empty(manifest);
  if (!empty) return failure(empty.error());
  if (*empty) return {};
  auto reader = ManifestReader::open(manifest);
  if (!reader) return failure(damaged(uri, reader.error()));
  Hashes hashes;
  for (;;) {
    auto next = (*reader)->next();
    if (!next) return failure(damaged(uri, next.error()));
    const auto& row = *next;
    if (!row) break;
    hashes.push_back(hash_of(row->path));
  }
  std::ranges::sort(hashes);
  listed_[uri] = std::move(hashes);
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
  std::map<std::string, Hashes> listed;
  for (;;) {
    auto next = (*reader)->next();
    if (!next) return failure(damaged(name, next.error()));
    const auto& row = *next;
    if (!row) break;
    if (row->in.empty()) {
      return failure(Code::kUnpackFailed,
                     "the manifest does not say which file holds '" + row->path + "'");
    }
    listed[row->in].push_back(hash_of(row->path));
    need(*row);
  }
  for (auto& [uri, hashes] : listed) std::ranges::sort(hashes);
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
  const auto found = listed_.find(uri);
  if (found == listed_.end()) return !complete_;
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return std::ranges::binary_search(found->second, hash_of(path));
}

}  // namespace backupkit
