// The lines of a file, one after another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

// Reads from `offset` on; the descriptor's position is neither used nor moved, and it stays open as
// long as this is used. Holds 256 KiB, or twice the longest line where that is more.
class LineReader {
 public:
  // Lines have at most `most` bytes, their LF included.
  LineReader(BorrowedFd in, size_t most, uint64_t offset = 0);

  // The next line with its LF, which only the last may lack; empty at the end of the file. Valid
  // until the next call. Error kInvalidArgument: the line is too long.
  [[nodiscard]] Result<std::string_view> next();

 private:
  [[nodiscard]] Result<size_t> fill();

  BorrowedFd in_;
  size_t most_;
  uint64_t offset_;  // of the first byte that is not in the buffer yet
  std::vector<char> buffer_;
  size_t begin_ = 0;  // of what next() has not given
  size_t end_ = 0;
};

}  // namespace backupkit
