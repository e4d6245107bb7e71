// Moving bytes between descriptors, inside the kernel where it has a way.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/base/bytes.h"

namespace backupkit {

// The ways, best first.
enum class Rung { kCopyFileRange, kSendfile, kSplice, kReadWrite };

// Copies between any two of file, pipe and socket; keeps its helper pipe and buffer from one copy
// to the next. For one thread.
class Copier {
 public:
  explicit Copier(Rung first = Rung::kCopyFileRange) : first_(first), used_(first) {}

  // Copies from the position of `in` to that of `out` until `in` ends or `limit` bytes are moved,
  // and gives how many that were. Both positions move by as much. Begins with the first rung and
  // falls to the next only where the kernel says that this one is not for this pair. Waits, also
  // where an end is non-blocking. Error: a read or a write failed; what had been moved before is in
  // `out` and the positions say how much. A gone reader is Error kClosed (SIGPIPE must be ignored).
  [[nodiscard]] Result<uint64_t> copy(BorrowedFd in, BorrowedFd out, uint64_t limit = UINT64_MAX);

  // The rung the last copy ended on.
  [[nodiscard]] Rung used() const { return used_; }
  // Sums over all copies.
  [[nodiscard]] uint64_t moved_in_kernel() const { return moved_in_kernel_; }
  [[nodiscard]] uint64_t moved_through_user() const { return moved_through_user_; }

 private:
  struct Step;
  [[nodiscard]] Result<Step> step(BorrowedFd in, BorrowedFd out, size_t size);
  [[nodiscard]] Result<Step> splice_step(BorrowedFd in, BorrowedFd out, size_t size);
  [[nodiscard]] Result<Step> user_step(BorrowedFd in, BorrowedFd out, size_t size);
  [[nodiscard]] Result<Step> in_kernel(int64_t count, BorrowedFd in, BorrowedFd out);
  [[nodiscard]] Result<void> open_pipe();
  [[nodiscard]] Result<Step> drain_pipe(BorrowedFd in, BorrowedFd out, size_t size);
  void abandon_pipe(BorrowedFd in, uint64_t size);

  Rung first_;
  Rung used_;
  UniqueFd pipe_read_;
  UniqueFd pipe_write_;
  Bytes buffer_;
  uint64_t moved_in_kernel_ = 0;
  uint64_t moved_through_user_ = 0;
};

// Makes the file `out` what the file `in` is, from their starts: what `out` begins with that is the
// same stays, the rest is copied, and holes are left out as by copy_sparse(). Gives the bytes that
// were. The position of either is after its last one. Error: as copy(); then `out` is as far as it
// came.
[[nodiscard]] Result<uint64_t> complete(BorrowedFd in, BorrowedFd out, Copier& copier);

}  // namespace backupkit
