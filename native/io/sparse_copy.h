// Copies of sparse files that are sparse, too.
#pragma once

#include <cstdint>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/io/copy.h"

namespace backupkit {

// Copies from the position of `in` to that of `out` until `in` ends, as `copier` does. Where both
// are regular files and `out` ends at its position, the holes of `in` become holes of `out`, and
// count as moved.
[[nodiscard]] Result<uint64_t> copy_sparse(Copier& copier, BorrowedFd in, BorrowedFd out);

}  // namespace backupkit
