// The last run's manifest beside this run's walk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/manifest/manifest_reader.h"

namespace backupkit {

// The rows of a manifest of either version in walk order. Version 2 is streamed. Version 1 is read
// whole and sorted (32 bytes and the path for each row); of a path that it has twice the first row
// counts, and its hashes are left out, as nothing here can compare with SHA-256.
class SortedRows {
 public:
  // How much of a version 1 is held: its rows, and the bytes of all their paths.
  struct Limits {
    size_t rows = 1'000'000;
    size_t path_bytes = size_t{128} << 20U;  // below 4 GiB
  };

  // Errors as of ManifestReader; kInvalidArgument also for a version 1 past the limits. `in` stays
  // open as long as this is used.
  [[nodiscard]] static Result<SortedRows> open(BorrowedFd in, const Limits& limits);
  [[nodiscard]] static Result<SortedRows> open(BorrowedFd in) { return open(in, Limits{}); }

  // The next row, or nothing behind the last.
  [[nodiscard]] Result<std::optional<ManifestRow>> next();

  // The reader of what next() gives next; null where that is not as it is read.
  [[nodiscard]] ManifestReader* streamed() const {
    return version() == ManifestVersion::k1 ? nullptr : reader_.get();
  }

  [[nodiscard]] ManifestVersion version() const { return reader_->version(); }

 private:
  struct Kept {  // what version 1 knows
    uint32_t path_at = 0;
    uint32_t path_size = 0;
    uint32_t mode = 0;
    bool is_incremental = false;
    uint64_t size = 0;
    int64_t mtime = 0;
  };

  explicit SortedRows(std::unique_ptr<ManifestReader> reader) : reader_(std::move(reader)) {}
  [[nodiscard]] Result<void> load(const Limits& limits);
  [[nodiscard]] Result<void> keep(const ManifestRow& row, const Limits& limits);
  void sort();
  [[nodiscard]] std::string_view path_of(const Kept& kept) const;

  std::unique_ptr<ManifestReader> reader_;
  std::string paths_;
  std::vector<Kept> kept_;
  size_t next_ = 0;
};

// Joins the rows of the last run with the entries of this one, both in walk order. Holds one row.
//
// A row vanishes when nobody came by its path. That is also so where a rule is new, or the walk
// could not read a directory and nobody asked for the rows below it.
class MergeJoin {
 public:
  // Is given every row that vanished, in walk order; its error ends the call it was made in.
  using Vanished = std::function<Result<void>(const ManifestRow&)>;

  MergeJoin(SortedRows old, Vanished vanished)
      : old_(std::move(old)), vanished_(std::move(vanished)) {}

  // The row that `path` had, or nothing. A path that does not come behind the last in walk order is
  // our own mistake: aborts.
  [[nodiscard]] Result<std::optional<ManifestRow>> match(std::string_view path);

  // Instead of match(`path`), if the next row's line, which no path was compared with yet, is the
  // one: `is_it` is given it without its end, and has to make sure of its path. False: it is not,
  // or only match() can tell.
  [[nodiscard]] Result<bool> match_line(std::string_view path,
                                        const std::function<bool(std::string_view)>& is_it);

  // After match(`path`): takes the rows of what is below it, which nothing can be matched with
  // then. An error of `take` ends the call.
  [[nodiscard]] Result<void> take_below(std::string_view path,
                                        const std::function<Result<void>(ManifestRow)>& take);

  // Behind the last path: the rows that are left have vanished.
  [[nodiscard]] Result<void> finish();

 private:
  [[nodiscard]] Result<void> peek();
  [[nodiscard]] Result<void> drop();

  SortedRows old_;
  Vanished vanished_;
  std::optional<ManifestRow> row_;  // the first that nothing was matched with yet
  bool ended_ = false;
  std::optional<std::string> last_path_;
};

}  // namespace backupkit
