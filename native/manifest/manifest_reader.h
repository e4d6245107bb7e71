// Reads a manifest (the grammar is in manifest.h) that nobody vouches for.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/base/hash.h"
#include "native/manifest/line_reader.h"
#include "native/manifest/manifest.h"

namespace backupkit {

// Gives the rows one by one and holds one. Every error about the text is kInvalidArgument with the
// number of the line; after one, next() repeats it.
class ManifestReader {
 public:
  // Reads the head of `in` from offset 0; its position is neither used nor moved, and it stays open
  // as long as the reader. Error kInvalidArgument: no manifest, or of an unknown version.
  [[nodiscard]] static Result<std::unique_ptr<ManifestReader>> open(BorrowedFd in);

  // The next row, or nothing behind the last. Error kInvalidArgument, each with words of its own: a
  // line that is no row, a path that leads out; in version 2 also a torn end, a wrong count, a
  // wrong hash, something behind the end, a row out of order, a path twice. What is wrong at the
  // end is known only there: who must not act on a damaged manifest calls check_manifest() first.
  [[nodiscard]] Result<std::optional<ManifestRow>> next();

  // The next row's line without its end, unread: instead of next(), for who wants to know of
  // version 2 whether it is what was written. Valid until the next call. Errors as of next(), but
  // for those of rows.
  [[nodiscard]] Result<std::optional<std::string_view>> skim();

  // What skim() gives next; it is kept for that, or next(). Valid until then.
  [[nodiscard]] Result<std::optional<std::string_view>> peek();
  // After peek() has given a line: takes it, unread but for its `path`. Errors as of next(), but
  // for those of other columns.
  [[nodiscard]] Result<void> pass(std::string_view path);

  [[nodiscard]] ManifestVersion version() const { return version_; }
  // How many next(), skim() and peek() have come by.
  [[nodiscard]] uint64_t rows() const { return rows_; }
  // Where the line of the one that came last begins.
  [[nodiscard]] uint64_t row_at() const { return line_at_; }

 private:
  explicit ManifestReader(BorrowedFd in) : lines_(in, kMaxManifestLine) {}

  [[nodiscard]] Result<void> read_head();
  [[nodiscard]] Result<std::string_view> next_line();
  [[nodiscard]] Result<std::optional<std::string_view>> next_text();
  [[nodiscard]] Result<ManifestRow> row_of(std::string_view text);
  [[nodiscard]] Result<void> check_order(std::string_view path);
  [[nodiscard]] Result<void> read_end(std::string_view line);
  void hash(std::string_view line);
  [[nodiscard]] std::unexpected<Error> refuse(std::string_view why) const;

  LineReader lines_;
  uint64_t line_number_ = 0;
  uint64_t line_at_ = 0;
  uint64_t next_line_at_ = 0;
  ManifestVersion version_ = ManifestVersion::k2;
  Hasher hasher_;
  std::string last_path_;
  std::optional<std::string_view> peeked_;
  uint64_t rows_ = 0;
  bool ended_ = false;
  std::optional<Error> broken_;
};

struct ManifestSummary {
  ManifestVersion version = ManifestVersion::k2;
  uint64_t rows = 0;
};

// The row whose line begins at `at`, in a manifest that was read before.
[[nodiscard]] Result<ManifestRow> row_at(BorrowedFd in, uint64_t at, ManifestVersion version);

// Reads a whole manifest once and gives what it is; the errors are those of ManifestReader. Version
// 1 has no end and no order, so a cut between two of its rows is not seen.
[[nodiscard]] Result<ManifestSummary> check_manifest(BorrowedFd in);

}  // namespace backupkit
