#include "native/manifest/merge_join.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

#include "native/manifest/walk_order.h"

namespace backupkit {
Result<SortedRows> SortedRows::open(BorrowedFd in, const Limits& limits) {
  auto reader = ManifestReader::open(in);
  if (!reader) return failure(reader.error());
  SortedRows rows(std::move(*reader));
  if (rows.version() != ManifestVersion::k1) return rows;
  if (auto loaded = rows.load(limits); !loaded) return failure(loaded.error());
  return rows;
}

Result<std::optional<ManifestRow>> SortedRows::next() {
  if (version() != ManifestVersion::k1) return reader_->next();
  if (next_ == kept_.size()) return std::nullopt;
  const Kept& kept = kept_[next_++];
  ManifestRow row;
  row.path = path_of(kept);
  row.mode = kept.mode;
  row.size = kept.size;
  row.mtime.seconds = kept.mtime;
  row.is_incremental = kept.is_incremental;
  row.type = entry_type(kept.mode).value_or(EntryType::kFile);
  return std::optional(std::move(row));
}

Result<void> SortedRows::load(const Limits& limits) {
  for (;;) {
    auto row = reader_->next();
    if (!row) return failure(row.error());
    const auto& held = *row;
    if (!held) break;
    if (auto kept = keep(*held, limits); !kept) return kept;
  }
  sort();
  return {};
}

Result<void> SortedRows::keep(const ManifestRow& row, const Limits& limits) {
  if (kept_.size() == limits.rows || row.path.size() > limits.path_bytes - paths_.size()) {
    return failure(Code::kInvalidArgument, "a manifest of version 1 that is too long");
  }
  kept_.push_back({static_cast<uint32_t>(paths_.size()), static_cast<uint32_t>(row.path.size()),
                   row.mode, row.is_incremental, row.size, row.mtime.seconds});
  paths_ += row.path;
  return {};
}

void SortedRows::sort() {
  std::ranges::sort(kept_, [&](const Kept& a, const Kept& b) {
    const auto order = walk_order(path_of(a), path_of(b));
    return order != 0 ? order < 0 : a.path_at < b.path_at;
  });
  const auto same = [&](const Kept& a, const Kept& b) { return path_of(a) == path_of(b); };
  const auto rest = std::ranges::unique(kept_, same);
  kept_.erase(rest.begin(), rest.end());
}

std::string_view SortedRows::path_of(const Kept& kept) const {
  return std::string_view(paths_).substr(kept.path_at, kept.path_size);
}

Result<std::optional<ManifestRow>> MergeJoin::match(std::string_view path) {
  if (last_path_ && walk_order(*last_path_, path) >= 0) std::abort();
  last_path_ = path;
  for (;;) {
    if (auto peeked = peek(); !peeked) return failure(peeked.error());
    const auto order = row_ ? walk_order(row_->path, path) : std::strong_ordering::greater;
    if (order > 0) return std::nullopt;
    if (order == 0) return std::exchange(row_, std::nullopt);
    if (auto dropped = drop(); !dropped) return failure(dropped.error());
  }
}

Result<bool> MergeJoin::match_line(std::string_view path,
                                   const std::function<bool(std::string_view)>& is_it) {
  ManifestReader* reader = old_.streamed();
  if (reader == nullptr || row_ || ended_) return false;
  const auto peeked = reader->peek();
  if (!peeked) return failure(peeked.error());
  const auto& line = *peeked;
  if (!line || !is_it(*line)) return false;
  if (last_path_ && walk_order(*last_path_, path) >= 0) std::abort();
  last_path_ = path;
  if (auto passed = reader->pass(path); !passed) return failure(passed.error());
  return true;
}

Result<void> MergeJoin::take_below(std::string_view path,
                                   const std::function<Result<void>(ManifestRow)>& take) {
  for (;;) {
    if (auto peeked = peek(); !peeked) return peeked;
    if (!row_ || !is_below(row_->path, path)) return {};
    ManifestRow row = std::move(*row_);
    row_.reset();
    if (auto taken = take(std::move(row)); !taken) return taken;
  }
}

Result<void> MergeJoin::finish() {
  for (;;) {
    if (auto peeked = peek(); !peeked) return peeked;
    if (!row_) return {};
    if (auto dropped = drop(); !dropped) return dropped;
  }
}

Result<void> MergeJoin::peek() {
  if (row_ || ended_) return {};
  auto row = old_.next();
  if (!row) return failure(row.error());
  row_ = std::move(*row);
  ended_ = !row_;
  return {};
}

Result<void> MergeJoin::drop() {
  const auto vanished = std::exchange(row_, std::nullopt);
  return vanished ? vanished_(*vanished) : Result<void>();
}

}  // namespace backupkit
