#include "native/extension/file_reader.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "native/archive/tar_encode.h"
#include "native/base/hash.h"
#include "native/base/syscall.h"
#include "native/extension/attributes.h"
#include "native/extension/content.h"
#include "native/io/holes.h"
#include "native/io/read.h"

namespace backupkit {
namespace {

// Whether the look that `found` is of saw this very state.
bool is_same(const ScanEntry& found, const struct stat& status) {
  ScanEntry now;
  fill(now, status);
  return now.inode == found.inode && now.device == found.device && now.mode == found.mode &&
         now.size == found.size && now.mtime == found.mtime && now.ctime == found.ctime;
}

// False: it is not, or was not all the time, as it was found.
bool read_whole(const ScanEntry& found, BorrowedFd file, std::span<uint8_t> content) {
  const std::span<char> bytes(reinterpret_cast<char*>(content.data()), content.size());
  struct stat after{};
  return read_exactly(file, bytes, 0).value_or(false) && ::fstat(file.get(), &after) == 0 &&
         is_same(found, after);
}

}  // namespace

std::optional<ReadFile> FileReader::read(ScanEntry& found) {
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  const UniqueFd file(
      retry([&] { return ::openat(found.parent.get(), found.name.c_str(), kFlags); }));
  if (!file.is_open()) return std::nullopt;
  auto xattrs = kept_xattrs(found, file.borrow(), labels_);
  if (!xattrs || may_have_holes(file.borrow(), found.size).value_or(true)) return std::nullopt;
  std::swap(found.xattrs, *xattrs);
  auto read_file = read(found, file.borrow());
  if (!read_file) std::swap(found.xattrs, *xattrs);
  return read_file;
}

std::optional<ReadFile> FileReader::read(const ScanEntry& found, BorrowedFd file) {
  header_.clear();
  if (!encode_header(header_of(found), header_)) return std::nullopt;
  const auto size = static_cast<size_t>(found.size);
  const auto padding = static_cast<size_t>(tar_padding(found.size));
  const auto room = memory_.room(header_.size() + size + padding);
  const auto content = room.subspan(header_.size(), size);
  if (!read_whole(found, file, content)) return std::nullopt;
  std::ranges::copy(header_, room.begin());
  std::ranges::fill(room.last(padding), uint8_t{0});
  return ReadFile{.encoded = memory_.keep(), .hash = hashes_ ? hash_of(content) : ""};
}

}  // namespace backupkit
