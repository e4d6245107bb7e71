// Reads an archive (the grammar is in tar_header.h) that nobody vouches for.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/archive/tar_header.h"

namespace backupkit {

// A pull reader: next() steps from entry to entry, whether or not the content was taken. Every
// error about the input is kUnpackFailed with the offset of the block in the message; after one,
// next() repeats it. Paths are given as they stand: whoever creates files checks them.
class TarReader {
 public:
  // Reads the first `size` bytes of `in`, which is seekable and stays open; its position is not
  // used. The buffer is 256 KiB.
  TarReader(BorrowedFd in, uint64_t size);

  // The next entry, or nothing behind the last.
  [[nodiscard]] Result<std::optional<Entry>> next();

  // Where the current entry's content starts. Error kNotPermitted: there is no current entry.
  [[nodiscard]] Result<uint64_t> content_offset() const;

  // Writes the current entry's content to `out` at its position. May be called again.
  // An error of `out` comes with its errno and leaves the reader as it is.
  [[nodiscard]] Result<void> copy_content(BorrowedFd out);

 private:
  [[nodiscard]] Result<std::optional<Entry>> step();
  [[nodiscard]] Result<std::optional<Entry>> end();
  [[nodiscard]] Result<void> read_records(uint64_t length, PaxRecords& records);
  [[nodiscard]] Result<Entry> settle(Entry entry, const PaxRecords& records);
  [[nodiscard]] Result<std::span<const uint8_t>> view(uint64_t offset, size_t count);
  [[nodiscard]] Result<void> fill(uint64_t offset, size_t count);
  [[nodiscard]] Result<std::span<const uint8_t, kTarBlock>> block();
  [[nodiscard]] std::unexpected<Error> refuse(std::string_view why) const;

  BorrowedFd in_;
  uint64_t size_;
  uint64_t at_ = 0;          // the block that next() reads, or has just refused
  uint64_t content_at_ = 0;  // of the current entry
  uint64_t content_size_ = 0;
  bool has_entry_ = false;
  bool finished_ = false;
  std::optional<Error> broken_;
  PaxRecords global_;
  std::vector<uint8_t> buffer_;
  uint64_t buffer_at_ = 0;  // the offset of its first byte
  size_t buffered_ = 0;
};

}  // namespace backupkit
