#include "native/extension/history.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/base/syscall.h"
#include "native/extension/attributes.h"
#include "native/io/holes.h"
#include "native/io/tmpfile.h"
#include "native/io/xattr.h"

namespace backupkit {
namespace {

constexpr size_t kMostBigFiles = 100'000;  // that are known again under another path

// True for what the row of an entry says whole: nothing has to be sent when only that has changed.
bool is_all_in_its_row(const ScanEntry& found) {
  return S_ISDIR(found.mode) || S_ISLNK(found.mode) || S_ISFIFO(found.mode);
}

// Whether it still has the extended attributes of that row; no, where it cannot be told. Of what
// has a copy they were read beside that.
bool has_xattrs(const ScanEntry& found, BorrowedFd copy, const std::optional<std::string>& digest,
                Labels labels) {
  if (!digest) return false;
  if (copy.is_open()) return digest_of(found.xattrs) == *digest;
  const auto xattrs = kept_xattrs(found, copy, labels);
  return xattrs && digest_of(*xattrs) == *digest;
}

// Whether the file still has the content and the holes of that row; no, where it cannot be told.
Result<bool> has_content(const ScanEntry& found, BorrowedFd copy, const ManifestRow& row,
                         FileHasher& hasher) {
  if (!row.hash.starts_with("xxh3:") || !row.holes) return false;
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  UniqueFd file;
  if (!copy.is_open()) {
    file.reset(retry([&] { return ::openat(found.parent.get(), found.name.c_str(), kFlags); }));
    if (!file.is_open()) return false;
  }
  const BorrowedFd content = copy.is_open() ? copy : file.borrow();
  const auto holes = holes_of(content, found.size);
  if (!holes) return false;
  // A copy has its own; those of the file were read beside it.
  if (digest_of(copy.is_open() ? found.holes : *holes) != *row.holes) return false;
  auto now = hasher.hash(content, found.size, *holes, found.path);
  return now && *now == row.hash;
}

// Whether an earlier backup has, by that row, what the entry is.
Result<bool> holds(const std::optional<ManifestRow>& old, const ScanEntry& found, BorrowedFd copy,
                   Labels labels, FileHasher& hasher) {
  if (!old || old->in.empty() || old->type == EntryType::kHardLink) return false;
  const Change change = change_of(old, found);
  if (change == Change::kUnchanged) return true;
  if (change == Change::kChanged || !has_xattrs(found, copy, old->xattrs, labels)) return false;
  switch (change) {
    case Change::kMetadata:
      if (is_all_in_its_row(found)) return true;
      [[fallthrough]];
    case Change::kRehash:
      return S_ISREG(found.mode) ? has_content(found, copy, *old, hasher) : Result<bool>(false);
    default:
      return false;
  }
}

// Whether a file of the backup is a big one: its name begins with 16 digits, and a part's does not.
bool is_of_a_big_file(std::string_view uri) {
  const auto digits = uri.substr(0, uri.find('.'));
  return digits.size() == 16 && digits.find_first_not_of("0123456789abcdef") == digits.npos;
}

// A link's row, with what `file` says of the inode that both are.
ManifestRow link_row(const ManifestRow& link, ManifestRow file) {
  file.path = link.path;
  file.type = link.type;
  file.target = link.target;
  file.hash = link.hash;
  file.xattrs = link.xattrs;
  file.holes = link.holes;
  return file;
}

}  // namespace

Result<std::unique_ptr<History>> History::open(BorrowedFd sandbox, UniqueFd old) {
  auto file = unnamed_file(sandbox);
  if (!file) return failure(file.error().in("the manifest"));
  std::unique_ptr<History> history(new History(sandbox, std::move(old), std::move(*file)));
  if (!history->old_.is_open()) {
    history->why_full_ = "no manifest of an earlier backup was given";
  } else if (auto opened = history->open_old(); !opened) {
    history->big_files_.clear();
    history->why_full_ = "the manifest given is not used: " + opened.error().message();
  }
  timespec now{};
  // The clock that file times come from. It cannot fail.
  (void)::clock_gettime(CLOCK_REALTIME, &now);
  history->scan_start_ = {now.tv_sec, static_cast<uint32_t>(now.tv_nsec)};
  return history;
}

// Reads the old manifest once whole, since whether it is what was written is known only at its end.
Result<void> History::check_old() {
  struct stat top{};
  if (::fstat(sandbox_.get(), &top) != 0) return errno_failure("the sandbox");
  auto reader = ManifestReader::open(old_.borrow());
  if (!reader) return failure(reader.error());
  version_ = (*reader)->version();
  device_ = top.st_dev;
  if (version_ == ManifestVersion::k1) return {};  // it is read whole to be sorted
  for (;;) {
    auto next = (*reader)->skim();
    if (!next) return failure(next.error());
    const auto& line = *next;
    if (!line) break;
    if (auto noted = note(*line, **reader, top); !noted) return noted;
  }
  std::ranges::sort(big_files_, {}, &BigFile::inode);
  return {};
}

// Remembers a big file, and compares the sandbox with what the manifest was taken of.
Result<void> History::note(std::string_view line, const ManifestReader& reader,
                           const struct stat& top) {
  const bool is_top = reader.rows() == 1 && line.starts_with(".;");
  const bool is_big = is_of_a_big_file(in_of(line, version_)) && big_files_.size() < kMostBigFiles;
  if (!is_top && !is_big) return {};
  auto row = read_row(line, version_);
  if (!row) return failure(row.error());
  // Nothing but an inode is known of what it was taken of; a restore leaves that one as it is.
  if (is_top && row->inode != top.st_ino) {
    return failure(Code::kInvalidArgument, "another bundle's, or of another directory of this one");
  }
  if (is_big && row->type == EntryType::kFile) big_files_.push_back({row->inode, reader.row_at()});
  return {};
}

Result<void> History::open_old() {
  if (auto checked = check_old(); !checked) return checked;
  auto rows = SortedRows::open(old_.borrow());
  if (!rows) return failure(rows.error());
  if (rows->version() == ManifestVersion::k1) {
    why_full_ = "the manifest given is of version 1, which does not say where an entry is stored";
  }
  // What is gone is left out of the new manifest; nothing else is said of it.
  join_.emplace(std::move(*rows), [](const ManifestRow&) { return Result<void>{}; });
  return {};
}

Result<std::optional<ManifestRow>> History::match(const std::string& path) {
  if (!join_) return std::nullopt;
  auto matched = join_->match(path);
  if (!matched) give_up(matched.error());
  return matched ? std::move(*matched) : std::nullopt;
}

Result<bool> History::keep_unchanged(const ScanEntry& found) {
  if (!join_ || version_ != ManifestVersion::k2 || is_racy(found, scan_start_)) return false;
  if (is_taken(found.inode)) return false;
  std::optional<LineHalves> halves;
  const auto matched = join_->match_line(found.path, [&](std::string_view line) {
    halves = same_row_.halves(line, found);
    return halves.has_value();
  });
  if (!matched) give_up(matched.error());
  if (!matched || !*matched || !halves) return false;
  take(found.inode);
  if (auto added = writer_.add(found.path, *halves); !added) return failure(added.error());
  return true;
}

// It is as it was written, but a row of it is none: what comes from there on counts as new.
void History::give_up(const Error& error) {
  join_.reset();
  big_files_.clear();
  why_full_ = "the manifest given is used in part: " + error.message();
}

Result<void> History::keep(const std::string& path,
                           const std::function<bool(const ManifestRow&)>& keeps) {
  if (!join_) return {};
  const auto keep_one = [&](ManifestRow row) -> Result<void> {
    if (row.in.empty() || !keeps(row)) return {};
    row.is_incremental = false;
    return writer_.add(row);
  };
  auto matched = match(path);
  if (!matched) return failure(matched.error());
  if (auto& row = *matched) {
    if (auto kept = keep_one(std::move(*row)); !kept) return kept;
  }
  if (!join_) return {};
  return join_->take_below(path, keep_one);
}

Result<std::optional<ManifestRow>> History::held(const std::optional<ManifestRow>& old,
                                                 const ScanEntry& found, BorrowedFd copy,
                                                 Labels labels, FileHasher& hasher) {
  if (is_taken(found.inode)) return std::nullopt;
  auto as_it_was = holds(old, found, copy, labels, hasher);
  if (!as_it_was) return failure(as_it_was.error());
  if (*as_it_was) return old;
  if (!S_ISREG(found.mode) || found.device != device_) return std::nullopt;
  return moved(found, copy, labels, hasher);
}

// One file of the backup is not two entries, which may have one inode on two devices.
bool History::is_taken(uint64_t inode) {
  return std::ranges::any_of(big_files_of(inode), &BigFile::is_taken);
}

void History::take(uint64_t inode) {
  for (BigFile& file : big_files_of(inode)) file.is_taken = true;
}

// The row of the file that had another path and is `found` now.
Result<std::optional<ManifestRow>> History::moved(const ScanEntry& found, BorrowedFd copy,
                                                  Labels labels, FileHasher& hasher) {
  for (const BigFile& file : big_files_of(found.inode)) {
    auto row = row_at(old_.borrow(), file.row_at, version_);
    if (!row) return failure(row.error());
    const bool may_be = row->path != found.path && row->size == found.size &&
                        has_xattrs(found, copy, row->xattrs, labels);
    if (!may_be) continue;
    auto is_it = has_content(found, copy, *row, hasher);
    if (!is_it) return failure(is_it.error());
    if (*is_it) return std::optional(std::move(*row));
  }
  return std::nullopt;
}

std::span<History::BigFile> History::big_files_of(uint64_t inode) {
  const auto found = std::ranges::equal_range(big_files_, inode, {}, &BigFile::inode);
  return {found.begin(), found.end()};
}

Result<UniqueFd> History::finish(const Corrections& corrections) {
  if (auto finished = writer_.finish(); !finished) return failure(finished.error());
  const UniqueFd written = std::move(file_);  // nobody has it open to write afterwards
  if (corrections.empty()) return reopen_readonly(written.borrow());
  auto corrected = unnamed_file(sandbox_);
  if (!corrected) return failure(corrected.error().in("the manifest"));
  auto done = correct(written.borrow(), corrected->borrow(), corrections);
  if (!done) return failure(done.error());
  return reopen_readonly(corrected->borrow());
}

// Writes the manifest once more: rows are added in walk order, and what is known late is not.
Result<void> History::correct(BorrowedFd from, BorrowedFd into, const Corrections& corrections) {
  auto reader = ManifestReader::open(from);
  if (!reader) return failure(reader.error());
  ManifestWriter writer(into);
  for (;;) {
    auto next = (*reader)->next();
    if (!next) return failure(next.error());
    auto& read = *next;
    if (!read) return writer.finish();
    ManifestRow row = std::move(*read);
    const auto found = corrections.find(row.in);
    if (found != corrections.end()) {
      const bool is_link = row.type == EntryType::kHardLink;
      const auto& correction = found->second;
      if (!correction || (is_link && correction->in != row.in)) continue;
      row = is_link ? link_row(row, *correction) : *correction;
    }
    if (auto added = writer.add(row); !added) return added;
  }
}

}  // namespace backupkit
