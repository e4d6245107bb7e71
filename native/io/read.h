// Reading a range whole, whatever the kernel gives at a time.
#pragma once

#include <cstdint>
#include <span>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

// Fills `buffer` with what `file` has from `offset` on; its position is neither used nor moved.
// False: the file ends before.
[[nodiscard]] Result<bool> read_exactly(BorrowedFd file, std::span<char> buffer, uint64_t offset);

// How many bytes, of at most `size`, are the same in `file` from its start and in `other` from
// `offset` on. Positions are neither used nor moved.
[[nodiscard]] Result<uint64_t> common_length(BorrowedFd file, BorrowedFd other, uint64_t offset,
                                             uint64_t size);

}  // namespace backupkit
