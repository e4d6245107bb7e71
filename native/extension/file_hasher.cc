#include "native/extension/file_hasher.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "native/base/syscall.h"

namespace backupkit {

Result<std::string> FileHasher::hash(BorrowedFd file, uint64_t size, std::span<const Extent> holes,
                                     const std::string& path) {
  buffer_.resize(1U << 20);
  (void)hasher_.finish();  // of a file that could not be read to its end, something may be left
  uint64_t at = 0;
  for (const Extent& data : complement(holes, size)) {
    if (auto added = add_zeros(data.offset - at, path); !added) return failure(added.error());
    if (auto added = add(file, data, path); !added) return failure(added.error());
    at = data.offset + data.length;
  }
  if (auto added = add_zeros(size - at, path); !added) return failure(added.error());
  return hasher_.finish();
}

Result<void> FileHasher::add_zeros(uint64_t count, const std::string& path) {
  constexpr uint64_t kPiece = uint64_t{1} << 28U;
  while (count > 0) {
    const uint64_t piece = std::min(count, kPiece);
    hasher_.update_zeros(piece);
    count -= piece;
    if (auto told = link_.progress("pack", path, work_.entries, work_.bytes()); !told) return told;
  }
  return {};
}

Result<void> FileHasher::add(BorrowedFd file, const Extent& data, const std::string& path) {
  const uint64_t end = data.offset + data.length;
  for (uint64_t at = data.offset; at < end;) {
    const auto want = static_cast<size_t>(std::min<uint64_t>(buffer_.size(), end - at));
    const auto got =
        retry([&] { return ::pread(file.get(), buffer_.data(), want, static_cast<int64_t>(at)); });
    if (got < 0) return errno_failure("read of '" + path + "'");
    if (got == 0) {
      return failure(Code::kPackFailed,
                     "'" + path + "' became shorter while it was read; run the backup again");
    }
    hasher_.update(std::span(buffer_).first(static_cast<size_t>(got)));
    at += static_cast<uint64_t>(got);
    auto told = link_.progress("pack", path, work_.entries, work_.bytes() + at);
    if (!told) return told;
  }
  return {};
}

}  // namespace backupkit
