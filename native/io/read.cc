#include "native/io/read.h"

#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <span>

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

}  // namespace backupkit
