// The rows that a backup finds and leaves, if it is one with a manifest.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "native/extension/file_hasher.h"
#include "native/extension/history.h"
#include "native/extension/settings.h"

namespace backupkit {

// An incremental backup's History. A full backup keeps no rows: it finds none, and those that it
// adds are left out. Not thread-safe.
class Rows {
 public:
  // `hasher` outlives this.
  Rows(Labels labels, FileHasher& hasher) : labels_(labels), hasher_(hasher) {}

  // From now on they are kept. As History::open(), before the walk.
  [[nodiscard]] Result<void> open(BorrowedFd sandbox, UniqueFd old);

  [[nodiscard]] bool are_kept() const { return history_ != nullptr; }

  // Whether a last backup may hold what does not have to be stored again.
  [[nodiscard]] bool have_past() const { return history_ && !history_->is_first(); }

  // Why they have none though they are kept; else "".
  [[nodiscard]] std::string why_full() const { return history_ ? history_->why_full() : ""; }

  // The row that `path` had in the last backup.
  [[nodiscard]] Result<std::optional<ManifestRow>> last(const std::string& path);

  // As History::keep_unchanged().
  [[nodiscard]] Result<bool> keep_unchanged(const ScanEntry& found);

  // As History::held(), with the row that last() gave.
  [[nodiscard]] Result<std::optional<ManifestRow>> held(const ScanEntry& found,
                                                        const std::optional<ManifestRow>& old,
                                                        BorrowedFd copy);

  // The entry is kept by the row that held() gave.
  void take(const ScanEntry& found);

  // As History::keep().
  [[nodiscard]] Result<void> keep(const std::string& path,
                                  const std::function<bool(const ManifestRow&)>& keeps);

  // Whether an entry can have one.
  [[nodiscard]] bool fit(std::string_view path, std::string_view target) const;

  // The row of an entry that is stored in `in` now.
  [[nodiscard]] ManifestRow make(const ScanEntry& found, const std::string& in) const;

  [[nodiscard]] Result<void> add(const ManifestRow& row);

  // As History::finish(); not open where none are kept.
  [[nodiscard]] Result<UniqueFd> finish(const History::Corrections& corrections);

 private:
  Labels labels_;
  FileHasher& hasher_;
  std::unique_ptr<History> history_;
};

}  // namespace backupkit
