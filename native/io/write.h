// Writing to its end, whatever the kernel takes at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

// Waits until poll(2) tells one of `events`, or an error, of a descriptor; not at all for none.
[[nodiscard]] Result<void> wait_for(BorrowedFd fd, short events);

struct Written {
  size_t size = 0;
  int error = 0;  // an errno
};

// Writes all of `bytes` at the position of `out` but what an error leaves over. Waits where `out`
// is non-blocking and full.
[[nodiscard]] Written write_most(BorrowedFd out, std::span<const uint8_t> bytes);

// The same, where a part is worth nothing. Error: the errno, with `what` as its context.
[[nodiscard]] Result<void> write_all(BorrowedFd out, std::span<const uint8_t> bytes,
                                     std::string_view what);

// The same for pieces, one behind the other.
[[nodiscard]] Result<void> write_all(BorrowedFd out,
                                     std::span<const std::span<const uint8_t>> pieces,
                                     std::string_view what);

}  // namespace backupkit
