#include "native/extension/rows.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "native/manifest/manifest.h"

namespace backupkit {

Result<void> Rows::open(BorrowedFd sandbox, UniqueFd old) {
  auto history = History::open(sandbox, std::move(old));
  if (!history) return failure(history.error());
  history_ = std::move(*history);
  return {};
}

Result<std::optional<ManifestRow>> Rows::last(const std::string& path) {
  if (!history_) return std::nullopt;
  return history_->match(path);
}

Result<bool> Rows::keep_unchanged(const ScanEntry& found) {
  return history_ ? history_->keep_unchanged(found) : false;
}

Result<std::optional<ManifestRow>> Rows::held(const ScanEntry& found,
                                              const std::optional<ManifestRow>& old,
                                              BorrowedFd copy) {
  if (!history_) return std::nullopt;
  return history_->held(old, found, copy, labels_, hasher_);
}

void Rows::take(const ScanEntry& found) {
  if (history_) history_->take(found.inode);
}

Result<void> Rows::keep(const std::string& path,
                        const std::function<bool(const ManifestRow&)>& keeps) {
  return history_ ? history_->keep(path, keeps) : Result<void>{};
}

bool Rows::fit(std::string_view path, std::string_view target) const {
  return !history_ || fits_a_row(path, target);
}

ManifestRow Rows::make(const ScanEntry& found, const std::string& in) const {
  if (!history_) return {};
  ManifestRow made = row_of(found, history_->scan_start());
  made.in = in;
  made.is_incremental = true;
  return made;
}

Result<void> Rows::add(const ManifestRow& row) {
  return history_ ? history_->add(row) : Result<void>{};
}

Result<UniqueFd> Rows::finish(const History::Corrections& corrections) {
  if (!history_) return UniqueFd();
  return history_->finish(corrections);
}

}  // namespace backupkit
