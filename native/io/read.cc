#include "native/io/read.h"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "native/base/syscall.h"

namespace backupkit {

Result<bool> read_exactly(BorrowedFd file, std::span<char> buffer, uint64_t offset) {
  while (!buffer.empty()) {
    const auto got = retry([&] {
      return ::pread(file.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
    });
    if (got < 0) return errno_failure("read");
    if (got == 0) return false;
    buffer = buffer.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
  return true;
}

Result<uint64_t> common_length(BorrowedFd file, BorrowedFd other, uint64_t offset, uint64_t size) {
  constexpr size_t kPiece = size_t{128} << 10U;
  std::vector<char> ours(static_cast<size_t>(std::min<uint64_t>(size, kPiece)));
  std::vector<char> theirs(ours.size());
  for (uint64_t at = 0; at < size;) {
    const auto length = static_cast<size_t>(std::min<uint64_t>(ours.size(), size - at));
    const auto first = std::span(ours).first(length);
    const auto second = std::span(theirs).first(length);
    auto read = read_exactly(file, first, at);
    if (read && *read) read = read_exactly(other, second, offset + at);
    if (!read) return failure(read.error());
    if (!*read) return at;
    const auto differs = std::ranges::mismatch(first, second).in1;
    at += static_cast<uint64_t>(differs - first.begin());
    if (differs != first.end()) return at;
  }
  return size;
}

}  // namespace backupkit
