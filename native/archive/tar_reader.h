// Reads an archive (the grammar is in tar_header.h) that nobody vouches for.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/archive/pax.h"
#include "native/archive/sparse.h"
#include "native/archive/tar_header.h"
#include "native/archive/tar_input.h"
#include "native/base/shared_bytes.h"

namespace backupkit {

// A pull reader: next() steps from entry to entry, whether or not the content was taken. Every
// error about the input is kUnpackFailed with the offset of the block in the message; after one,
// next() repeats it. Paths are given as they stand: whoever creates files checks them.
class TarReader {
 public:
  // Reads the first `size` bytes of `in`, which is seekable and stays open; its position is not
  // used. The buffer is 256 KiB; beside it a file's map of holes and one entry's records are held,
  // and up to 4 MiB of what is kept of contents.
  TarReader(BorrowedFd in, uint64_t size, Hashing hashing = Hashing::kNo);

  // The next entry, or nothing behind the last.
  [[nodiscard]] Result<std::optional<Entry>> next();

  // After the last entry: whether the two blocks of zeros followed that end an archive. Without
  // them it may have been cut off between two entries.
  [[nodiscard]] bool has_end() const { return has_end_; }

  // After the last entry: error kUnpackFailed where anything but zeros follows the end. It may be
  // another archive, which most programs pass over without a word.
  [[nodiscard]] Result<void> check_rest();

  // Where the current entry's content starts; behind a map of holes. Error kNotPermitted: there is
  // no current entry.
  [[nodiscard]] Result<uint64_t> content_offset() const;

  // The first bytes of that content, at most `most` and, where they cost nothing more, as many;
  // valid until the next call.
  [[nodiscard]] Result<std::span<const uint8_t>> peek(size_t most);

  // The whole content of an entry without holes. Nothing has a keeper: it is large, or too much is
  // kept already.
  [[nodiscard]] Result<SharedBytes> keep_content();

  // The hash of all of the archive, which is read for it to its end; with Hashing::kYes.
  [[nodiscard]] Result<std::string> hash() { return input_.hash(); }

  // Writes the current entry's content to `out` at its position. May be called again. Holes are
  // left out: for an entry that has some, `out` is a file with nothing behind its position. An
  // error of `out` comes with its errno and leaves the reader as it is.
  [[nodiscard]] Result<void> copy_content(BorrowedFd out);

 private:
  // What was said before an entry.
  struct Pending {
    bool is_empty = true;
    bool has_records = false;
    uint64_t said = 0;  // bytes of records
    PaxRecords records;
    std::string path;
    std::string link_target;
  };

  [[nodiscard]] Result<std::optional<Entry>> step();
  [[nodiscard]] Result<std::optional<Entry>> end();
  [[nodiscard]] Result<void> announce(const TarHeader& header, Pending& pending);
  [[nodiscard]] Result<void> take_records(std::string_view text, bool is_global, Pending& pending);
  [[nodiscard]] Result<std::string> read_text(uint64_t length, size_t limit);
  [[nodiscard]] Result<Entry> settle(TarHeader header, const Pending& pending);
  [[nodiscard]] Result<void> find_data(TarHeader& header, const PaxRecords& records);
  [[nodiscard]] Result<std::optional<std::vector<Extent>>> read_sparse(TarHeader& header,
                                                                       const PaxRecords& records,
                                                                       uint64_t& stored);
  [[nodiscard]] Result<std::vector<Extent>> read_map(uint64_t& stored);
  [[nodiscard]] Result<void> read_old_map(TarHeader::Sparse& sparse);
  [[nodiscard]] Result<void> check_content(const Entry& entry, uint64_t stored) const;
  [[nodiscard]] Result<void> copy_extent(uint64_t offset, uint64_t length, BorrowedFd out);
  [[nodiscard]] Result<void> copy_sparse(BorrowedFd out);
  [[nodiscard]] Result<std::span<const uint8_t, kTarBlock>> block(uint64_t offset);
  [[nodiscard]] std::unexpected<Error> refuse(std::string_view why) const;

  TarInput input_;
  uint64_t at_ = 0;           // the block that next() reads, or has just refused
  uint64_t content_at_ = 0;   // of the current entry
  uint64_t size_ = 0;         // of the current entry, with its holes
  std::vector<Extent> data_;  // what is stored of it
  bool has_entry_ = false;
  bool is_begun_ = false;  // there was an entry
  bool is_finished_ = false;
  bool has_end_ = false;
  bool has_global_ = false;
  uint64_t said_globally_ = 0;
  std::optional<Error> broken_;
  PaxRecords global_;
};

}  // namespace backupkit
