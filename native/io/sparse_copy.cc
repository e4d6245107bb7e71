#include "native/io/sparse_copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "native/base/syscall.h"
#include "native/io/holes.h"

namespace backupkit {
namespace {

constexpr uint64_t kStatBlock = 512;  // the unit of st_blocks, whatever the file system's own is

// The holes that `out` can have as `in` has them.
Result<std::vector<Extent>> holes_to_keep(BorrowedFd in, BorrowedFd out) {
  struct stat from{};
  struct stat to{};
  if (::fstat(in.get(), &from) != 0 || ::fstat(out.get(), &to) != 0) return errno_failure("copy");
  const auto size = static_cast<uint64_t>(from.st_size);
  const bool is_sparse = static_cast<uint64_t>(from.st_blocks) * kStatBlock < size;
  if (!is_sparse || !S_ISREG(from.st_mode) || !S_ISREG(to.st_mode)) return std::vector<Extent>();
  const int flags = ::fcntl(out.get(), F_GETFL);
  const bool goes_on = flags >= 0 && (flags & O_APPEND) == 0;
  if (!goes_on || ::lseek(out.get(), 0, SEEK_CUR) != to.st_size) return std::vector<Extent>();
  return holes_of(in, size);
}

Result<void> pass_over(BorrowedFd file, uint64_t size) {
  if (::lseek(file.get(), static_cast<off_t>(size), SEEK_CUR) >= 0) return {};
  return errno_failure("copy");
}

// A file does not grow by the position behind its end.
Result<void> end_at_position(BorrowedFd out) {
  const auto at = ::lseek(out.get(), 0, SEEK_CUR);
  if (at >= 0 && retry([&] { return ::ftruncate(out.get(), at); }) == 0) return {};
  return errno_failure("copy");
}

// Copies up to the end of the hole that begins at or around `at`. Less: `in` became shorter.
Result<uint64_t> copy_past(const Extent& hole, uint64_t at, Copier& copier, BorrowedFd in,
                           BorrowedFd out) {
  const uint64_t before = std::max(hole.offset, at) - at;
  auto copied = copier.copy(in, out, before);
  if (!copied || *copied < before) return copied;
  const uint64_t rest = hole.offset + hole.length - at - before;
  for (const BorrowedFd file : {in, out}) {
    if (auto passed = pass_over(file, rest); !passed) return failure(passed.error());
  }
  return before + rest;
}

}  // namespace

Result<uint64_t> copy_sparse(Copier& copier, BorrowedFd in, BorrowedFd out) {
  const auto holes = holes_to_keep(in, out);
  if (!holes) return failure(holes.error());
  if (holes->empty()) return copier.copy(in, out);
  const auto begin = ::lseek(in.get(), 0, SEEK_CUR);
  if (begin < 0) return errno_failure("copy");
  const auto first = static_cast<uint64_t>(begin);
  uint64_t at = first;
  for (const Extent& hole : *holes) {
    const uint64_t end = hole.offset + hole.length;
    if (end <= at) continue;
    const auto copied = copy_past(hole, at, copier, in, out);
    if (!copied) return copied;
    at += *copied;
    if (at < end) break;
  }
  const auto rest = copier.copy(in, out);
  if (!rest) return rest;
  if (auto ended = end_at_position(out); !ended) return failure(ended.error());
  return at - first + *rest;
}

}  // namespace backupkit
