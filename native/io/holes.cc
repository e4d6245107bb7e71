#include "native/io/holes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "native/base/hash.h"
#include "native/base/syscall.h"

namespace backupkit {
namespace {

// Where the next data, or the next hole, begins at or behind `at`; `size` where there is none.
Result<uint64_t> seek(BorrowedFd file, uint64_t at, int whence, uint64_t size) {
  const auto found = ::lseek(file.get(), static_cast<off_t>(at), whence);
  if (found >= 0) return std::min(static_cast<uint64_t>(found), size);
  if (errno == ENXIO) return size;
  return errno_failure("looking for holes");
}

Result<std::vector<Extent>> find_holes(BorrowedFd file, uint64_t size) {
  std::vector<Extent> holes;
  for (uint64_t at = 0; at < size && holes.size() < kMaxHoles;) {
    const auto hole = seek(file, at, SEEK_HOLE, size);
    if (!hole) return failure(hole.error());
    if (*hole == size) break;
    const auto data = seek(file, *hole, SEEK_DATA, size);
    if (!data) return failure(data.error());
    if (*data > *hole) holes.push_back({*hole, *data - *hole});
    // Somebody may fill the hole between the two calls: the next look must lie further on.
    at = std::max(*data, *hole + 1);
  }
  return holes;
}

bool punch(BorrowedFd file, const Extent& hole) {
  constexpr int kHow = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  return retry([&] {
           return ::fallocate(file.get(), kHow, static_cast<off_t>(hole.offset),
                              static_cast<off_t>(hole.length));
         }) == 0;
}

// Punching would leave the last block where the size is not a multiple of it.
Result<void> make_end_a_hole(BorrowedFd file, uint64_t offset, uint64_t size) {
  const auto resize = [&](uint64_t length) {
    return retry([&] { return ::ftruncate(file.get(), static_cast<off_t>(length)); }) == 0;
  };
  if (resize(offset) && resize(size)) return {};
  return errno_failure("making a hole");
}

}  // namespace

bool are_extents(std::span<const Extent> extents, uint64_t size) {
  uint64_t end = 0;
  bool first = true;
  for (const Extent& extent : extents) {
    if (extent.length == 0 || extent.offset > size || extent.length > size - extent.offset) {
      return false;
    }
    if (!first && extent.offset <= end) return false;
    end = extent.offset + extent.length;
    first = false;
  }
  return true;
}

std::vector<Extent> complement(std::span<const Extent> extents, uint64_t size) {
  std::vector<Extent> rest;
  uint64_t at = 0;
  for (const Extent& extent : extents) {
    if (extent.offset > at) rest.push_back({at, extent.offset - at});
    at = extent.offset + extent.length;
  }
  if (at < size) rest.push_back({at, size - at});
  return rest;
}

// That a file has as many blocks as its size wants proves nothing: those of its attributes and of
// the map of its extents count, too.
Result<std::vector<Extent>> holes_of(BorrowedFd file, uint64_t size) {
  if (size == 0) return std::vector<Extent>();
  const auto position = ::lseek(file.get(), 0, SEEK_CUR);
  if (position < 0) return errno_failure("looking for holes");
  auto holes = find_holes(file, size);
  if (::lseek(file.get(), position, SEEK_SET) < 0) return errno_failure("going back in a file");
  // EINVAL: a file system that has no such question, as of the man page.
  if (!holes && holes.error().sys_errno == EINVAL) return std::vector<Extent>();
  return holes;
}

Result<bool> may_have_holes(BorrowedFd file, uint64_t size) {
  if (size == 0) return false;
  const auto hole = seek(file, 0, SEEK_HOLE, size);
  if (!hole && hole.error().sys_errno == EINVAL) return false;
  if (!hole) return failure(hole.error());
  return *hole < size;
}

std::string digest_of(std::span<const Extent> holes) {
  if (holes.empty()) return "";
  Hasher hasher;
  for (const Extent& hole : holes) {
    std::string text = std::to_string(hole.offset);
    text.append(1, '\0').append(std::to_string(hole.length)).append(1, '\0');
    hasher.update(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  }
  return hasher.finish();
}

Result<void> make_holes(BorrowedFd file, std::span<const Extent> holes) {
  if (holes.empty()) return {};
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return errno_failure("making holes");
  const auto size = static_cast<uint64_t>(status.st_size);
  if (!are_extents(holes, size)) return failure(Code::kInvalidArgument, "holes outside of a file");
  const Extent last = holes.back();
  if (last.offset + last.length == size) {
    if (auto cut = make_end_a_hole(file, last.offset, size); !cut) return cut;
    holes = holes.first(holes.size() - 1);
  }
  for (const Extent& hole : holes) {
    if (punch(file, hole)) continue;
    if (errno == EOPNOTSUPP || errno == ENOSYS) return {};
    return errno_failure("making a hole");
  }
  return {};
}

}  // namespace backupkit
