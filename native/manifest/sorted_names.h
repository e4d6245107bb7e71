// The names in a directory in byte order, few of them in memory however many there are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/manifest/directory_names.h"

namespace backupkit {

// Sorts by merging: whenever a mebibyte of names has been read they go, sorted, into an unnamed
// file as one more run, of which a page each is in memory when all are given. Not thread-safe.
class SortedNames {
 public:
  // Of none.
  SortedNames() = default;

  // Of these, which are in order, each once.
  [[nodiscard]] static SortedNames of(std::vector<DirectoryName> names);

  // Reads the names in `directory` but "." and "..", from its position on. `buffer` is for the
  // kernel's records. The file is made on the file system of `place`; where it cannot be written,
  // all names stay in memory.
  [[nodiscard]] static Result<SortedNames> read(BorrowedFd directory, BorrowedFd place,
                                                std::span<char> buffer);

  // The next name, each once; none behind the last. Error: they cannot be read again.
  [[nodiscard]] Result<std::optional<DirectoryName>> next();

  // The names behind that, if they are all in memory.
  [[nodiscard]] std::span<const DirectoryName> left() const;

 private:
  // Of the file, each name behind its kind and before a NUL.
  struct Run {
    uint64_t at = 0;  // of what was not read yet
    uint64_t end = 0;
    std::string text{};  // what was read
    size_t used = 0;     // of that
    DirectoryName first{};
  };
  static const std::string& first_of(const Run& run) { return run.first.text; }

  [[nodiscard]] bool write_run(BorrowedFd place);
  [[nodiscard]] Result<void> begin();
  [[nodiscard]] Result<bool> advance(Run& run) const;
  [[nodiscard]] Result<std::optional<DirectoryName>> take_smallest();

  UniqueFd file_;
  uint64_t size_ = 0;                 // of the file
  std::vector<Run> runs_;             // a heap: the front has the smallest name
  std::vector<DirectoryName> names_;  // that are in no run
  size_t next_ = 0;                   // of those
  std::string last_;                  // that was given
};

}  // namespace backupkit
