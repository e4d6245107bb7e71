// Writes a manifest (the grammar is in manifest.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/base/hash.h"
#include "native/manifest/manifest.h"
#include "native/manifest/same_row.h"

namespace backupkit {

// Collects rows in a buffer of 1 MiB, writes it when it is full, and keeps nothing else. Not for
// two threads. After a failed write every call fails with it.
class ManifestWriter {
 public:
  // Writes to `out` from its position; `out` stays open as long as this is used.
  explicit ManifestWriter(BorrowedFd out);

  // Adds a row. One that does not come behind the last in walk order, or behind finish(), is our
  // own mistake: aborts. Error kInvalidArgument: the row is too long; the manifest stands without
  // it and the writer can go on.
  [[nodiscard]] Result<void> add(const ManifestRow& row);

  // The same with the row's line in two halves: what is not incremental.
  [[nodiscard]] Result<void> add(std::string_view path, const LineHalves& line);

  // Writes the end.
  [[nodiscard]] Result<void> finish();

  [[nodiscard]] uint64_t rows() const { return rows_; }

 private:
  [[nodiscard]] Result<void> begin_row(std::string_view path) const;
  [[nodiscard]] Result<void> end_row(std::string_view path);
  [[nodiscard]] Result<void> flush();

  BorrowedFd out_;
  std::string buffer_;
  Hasher hasher_;
  std::string last_path_;
  uint64_t rows_ = 0;
  bool finished_ = false;
  std::optional<Error> broken_;
};

}  // namespace backupkit
