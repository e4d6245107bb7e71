// Writes an archive (the grammar is in tar_header.h) from its begin to its end.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/archive/tar_header.h"
#include "native/base/hash.h"
#include "native/base/shared_bytes.h"

namespace backupkit {

// Collects headers and content and writes them in large pieces. Not for two threads.
// After an error of the archive's own descriptor every call fails with it. An error of one file's
// content leaves the archive well-formed, and the writer can go on.
class TarWriter {
 public:
  // Writes to `out` from its position. The buffer is 256 KiB.
  explicit TarWriter(UniqueFd out);

  // Adds an entry without content; its size must be 0.
  [[nodiscard]] Result<void> add(const Entry& entry);

  // Adds a file with the entry.size bytes that `content` has from its position on; with holes, only
  // what lies between them is read, by its offset. Gives the hash of all, zeros for the holes.
  // Error kPackFailed: `content` ended early (sys_errno 0) or could not be read (sys_errno says
  // why); zeros stand for what is missing, the entry is in the archive and counts.
  [[nodiscard]] Result<std::string> add_file(const Entry& entry, BorrowedFd content);

  // Adds an entry as it stands in an archive: encode_header(), its content, and what fills that up
  // to whole blocks. They are written from where they are.
  [[nodiscard]] Result<void> add_encoded(SharedBytes entry);

  // Takes the entry added last out again, as if it had never been added: at most once after each,
  // also after one whose content failed. An error is one of the archive's own descriptor, which
  // must be able to seek.
  [[nodiscard]] Result<void> take_back();

  // Writes the end of the archive. Nothing can be added afterwards.
  [[nodiscard]] Result<void> finish();

  // Bytes of the archive so far, those not written yet included.
  [[nodiscard]] uint64_t size() const { return size_; }
  [[nodiscard]] uint64_t entries() const { return entries_; }

  // The hash of the whole archive; "" before finish().
  [[nodiscard]] const std::string& digest() const { return digest_; }

  // Gives the descriptor back. What finish() has not written is lost.
  [[nodiscard]] UniqueFd release() { return std::move(out_); }

 private:
  [[nodiscard]] Result<void> check_open() const;
  [[nodiscard]] Result<void> start(const Entry& entry);
  [[nodiscard]] Result<void> append(std::span<const uint8_t> bytes);
  [[nodiscard]] Result<void> append_zeros(uint64_t count);
  // What became of a file's content.
  struct Copied {
    uint64_t missing = 0;
    int read_errno = 0;
  };
  [[nodiscard]] Result<void> copy_in(BorrowedFd content, uint64_t size, Copied& copied);
  [[nodiscard]] Result<void> copy_data(BorrowedFd content, const Entry& entry, Copied& copied);
  [[nodiscard]] Result<void> mark(uint64_t header, uint64_t content);
  [[nodiscard]] std::span<uint8_t> room();
  void take_room(size_t count);
  void add_piece(SharedBytes piece);
  void drop_pieces(uint64_t bytes);
  [[nodiscard]] Result<void> flush();

  // Where the entry added last begins.
  struct Mark {
    size_t used = 0;
    uint64_t waiting = 0;
    uint64_t size = 0;
    Hasher archive_hash;  // set where the entry may be larger than the buffer
  };

  UniqueFd out_;
  Mark mark_;
  std::unique_ptr<uint8_t[]> buffer_;  // NOLINT(modernize-avoid-c-arrays): never initialised
  size_t used_ = 0;
  // What is not written yet, in order: pieces of the buffer, and of what others keep.
  std::vector<std::span<const uint8_t>> pieces_;
  std::vector<std::shared_ptr<const void>> keepers_;  // of each; none of the buffer's
  uint64_t waiting_ = 0;                              // bytes of them all
  uint64_t size_ = 0;
  uint64_t entries_ = 0;
  bool finished_ = false;
  std::optional<Error> broken_;
  Hasher archive_hash_;
  Hasher content_hash_;
  std::string digest_;
};

}  // namespace backupkit
