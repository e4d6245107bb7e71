#include "native/extension/big_files.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/base/hash.h"
#include "native/io/tmpfile.h"
#include "native/manifest/manifest_writer.h"

namespace backupkit {
namespace {

// The extension of a file's name with its dot, if it may stand in a uri.
std::string suffix_of(std::string_view name) {
  const auto dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return "";
  const auto suffix = name.substr(dot + 1);
  const auto plain = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  if (suffix.empty() || suffix.size() > 16 || !std::ranges::all_of(suffix, plain)) return "";
  return "." + std::string(suffix);
}

// The manifest of one big file.
Result<UniqueFd> manifest_of(const ManifestRow& row) {
  const UniqueFd file(::memfd_create("manifest", MFD_CLOEXEC));
  if (!file.is_open()) return errno_failure("a manifest");
  ManifestWriter writer(file.borrow());
  if (auto added = writer.add(row); !added) return failure(added.error());
  if (auto finished = writer.finish(); !finished) return failure(finished.error());
  return reopen_readonly(file.borrow());
}

IndexItem item_of(const ScanEntry& found, std::string name) {
  IndexItem item;
  item.is_user_tar = name.ends_with(".tar");
  item.is_big_file = true;
  item.file_name = std::move(name);
  item.path = found.path;
  item.size = found.size;
  item.mode = found.mode;
  item.access = found.atime;
  item.modification = found.mtime;
  item.uid = found.uid;
  item.gid = found.gid;
  return item;
}

}  // namespace

Result<void> BigFiles::add(const ScanEntry& found, UniqueFd file, ManifestRow& row) {
  IndexItem item = item_of(found, name(found));
  row.in = item.file_name;
  const auto hash = [&]() -> Result<void> {
    auto hashed = hasher_.hash(file.borrow(), found.size, found.path);
    if (!hashed) return failure(hashed.error());
    item.hash = std::move(*hashed);
    return {};
  };
  if (options_.with_manifests && options_.hashes) {
    // Its own manifest goes with it, so the hash cannot come after.
    if (auto hashed = hash(); !hashed) return hashed;
    row.hash = item.hash;
  }
  if (auto sent = send(item, row, file.borrow()); !sent) return sent;
  if (!options_.with_manifests && options_.hashes) {
    // After the sending, so that the receiver copies while this reads.
    if (auto hashed = hash(); !hashed) return hashed;
  }
  index_.push_back(std::move(item));
  return {};
}

Result<void> BigFiles::send(const IndexItem& item, const ManifestRow& row, BorrowedFd file) {
  // A second descriptor of the same open file: its position is the receiver's, pread leaves it.
  UniqueFd given(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
  if (!given.is_open()) return errno_failure("duplicate of '" + item.path + "'");
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(given));
  if (options_.with_manifests) {
    auto manifest = manifest_of(row);
    if (!manifest) return failure(manifest.error());
    fds.push_back(std::move(*manifest));
  }
  auto sent = link_.send_file(item.file_name, std::move(fds));
  if (!sent) return failure(sent.error());
  return {};
}

std::string BigFiles::name(const ScanEntry& found) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(found.path.data());
  const std::span path(bytes, found.path.size());
  for (uint64_t seed = options_.seed;; ++seed) {
    std::array<char, 17> digits{};
    (void)std::snprintf(digits.data(), digits.size(), "%016llx",
                        static_cast<unsigned long long>(hash64(path, seed)));
    auto name = std::string(digits.data()) + suffix_of(found.name);
    if (names_.insert(name).second) return name;
  }
}

}  // namespace backupkit
