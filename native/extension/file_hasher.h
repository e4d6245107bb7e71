// The hash of a file's content.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/base/bytes.h"
#include "native/base/hash.h"
#include "native/extension/link.h"
#include "native/io/holes.h"

namespace backupkit {

// What a backup has done so far.
struct Work {
  uint64_t entries = 0;
  uint64_t bytes_packed = 0;
  uint64_t bytes_shared = 0;
  uint64_t space = 0;   // that the content takes of all that is in it, wherever that is stored
  uint64_t resent = 0;  // how often a file was read again because it had changed
  [[nodiscard]] uint64_t bytes() const { return bytes_packed + bytes_shared; }
  [[nodiscard]] Moved moved() const {
    return {.packed = bytes_packed, .passed = bytes_shared, .unpacked = 0};
  }
};

// Tells the service meanwhile that the work goes on. Not thread-safe.
class FileHasher {
 public:
  // `link` and `work` outlive this.
  FileHasher(Link& link, const Work& work) : link_(link), work_(work) {}

  // The hash of the first `size` bytes of `file`, whose position is neither used nor moved. Its
  // `holes` are not read. `path` is for messages. Error kPackFailed without an errno: it is shorter
  // than that.
  [[nodiscard]] Result<std::string> hash(BorrowedFd file, uint64_t size,
                                         std::span<const Extent> holes, const std::string& path);

 private:
  [[nodiscard]] Result<void> add_zeros(uint64_t count, const std::string& path);
  [[nodiscard]] Result<void> add(BorrowedFd file, const Extent& data, const std::string& path);

  Link& link_;
  const Work& work_;
  Hasher hasher_;
  Bytes buffer_;
};

}  // namespace backupkit
