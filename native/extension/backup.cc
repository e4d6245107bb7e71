#include "native/extension/backup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "native/base/syscall.h"
#include "native/extension/big_files.h"
#include "native/extension/file_hasher.h"
#include "native/extension/history.h"
#include "native/extension/parts.h"
#include "native/extension/report.h"
#include "native/io/tmpfile.h"
#include "native/manifest/index.h"
#include "native/manifest/manifest.h"
#include "native/manifest/scan.h"

namespace backupkit {
namespace {

Entry header_of(const ScanEntry& found) {
  Entry entry;
  entry.path = found.path;
  entry.type = entry_type(found.mode).value_or(EntryType::kFile);
  entry.mode = found.mode & 07777U;
  entry.uid = found.uid;
  entry.gid = found.gid;
  entry.size = entry.type == EntryType::kFile ? found.size : 0;
  entry.mtime = found.mtime;
  entry.link_target = found.link_target;
  entry.device_major = found.device_major;
  entry.device_minor = found.device_minor;
  return entry;
}

uint64_t now_in_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

class Backup {
 public:
  Backup(BorrowedFd sandbox, const Settings& settings, Hook& hook, Link& link)
      : sandbox_(sandbox),
        settings_(settings),
        hook_(hook),
        link_(link),
        parts_(sandbox, settings.is_incremental ? milliseconds_text() + "_" : "",
               settings.is_incremental, link, index_),
        big_files_({seed_, settings.hashes_big_files, settings.is_incremental}, link, hasher_,
                   index_) {}

  Result<void> run(UniqueFd old_manifest);

 private:
  // An entry with more than one name, by its first one.
  struct FirstName {
    std::string path;
    std::optional<size_t> item;  // its place in the index, if it is big and sent by this run
    bool sent = true;            // by this run
  };

  Result<void> walk();
  Result<void> visit(const ScanEntry& found);
  Result<bool> leave_out(const ScanEntry& found, const std::optional<ManifestRow>& old);
  Result<void> add_again(const ScanEntry& found, const std::optional<ManifestRow>& old);
  Result<void> add_small(const ScanEntry& found, const std::optional<ManifestRow>& old);
  Result<void> add_big(const ScanEntry& found, UniqueFd file);
  Result<UniqueFd> open_file(const ScanEntry& found, const std::optional<ManifestRow>& old);
  [[nodiscard]] std::string milliseconds_text() const { return std::to_string(seed_ / 1'000'000); }
  [[nodiscard]] ManifestRow row(const ScanEntry& found, const std::string& in) const;
  Result<void> keep_row(const ManifestRow& row);
  Result<void> keep_part_row(const ManifestRow& row);
  void name_first(const ScanEntry& found, FirstName first);
  Result<void> send_index();
  Result<void> send_report();

  BorrowedFd sandbox_;
  const Settings& settings_;
  Hook& hook_;
  Link& link_;
  uint64_t seed_ = now_in_ns();
  Work work_;
  FileHasher hasher_{link_, work_};
  std::vector<IndexItem> index_;
  Parts parts_;
  BigFiles big_files_;
  std::unique_ptr<History> history_;  // of an incremental one
  std::string app_report_;
  std::map<std::pair<uint64_t, uint64_t>, FirstName> first_names_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  uint64_t unchanged_ = 0;
  ScanTotals totals_;
  std::vector<std::string> unreadable_;  // found when an entry was opened
  uint64_t unreadable_count_ = 0;
};

Result<void> Backup::run(UniqueFd old_manifest) {
  auto prepared = hook_.on_backup(settings_);
  if (!prepared) return failure(prepared.error());
  app_report_ = std::move(*prepared);
  if (auto told = link_.progress("scan", "", 0, 0); !told) return told;
  if (settings_.is_incremental) {
    // Stores to mapped pages move a file's times at the latest when they are written back.
    if (::syncfs(sandbox_.get()) != 0) return errno_failure("sync of the sandbox");
    auto history = History::open(sandbox_, std::move(old_manifest));
    if (!history) return failure(history.error());
    history_ = std::move(*history);
  }
  if (auto walked = walk(); !walked) return walked;
  if (auto sent = parts_.finish(); !sent) return sent;
  if (auto sent = send_index(); !sent) return sent;
  if (auto sent = send_report(); !sent) return sent;
  return verdict(settings_.bundle, totals_);
}

Result<void> Backup::walk() {
  auto totals =
      scan(sandbox_, settings_.rules, [this](const ScanEntry& found) { return visit(found); });
  if (!totals) return failure(totals.error());
  totals_ = std::move(*totals);
  totals_.stored -= unreadable_count_;
  totals_.unreadable += unreadable_count_;
  totals_.details.insert(totals_.details.end(), unreadable_.begin(), unreadable_.end());
  return {};
}

Result<void> Backup::visit(const ScanEntry& found) {
  ++work_.entries;
  if (auto told = link_.progress("pack", found.path, work_.entries, work_.bytes()); !told) {
    return told;
  }
  std::optional<ManifestRow> old;
  if (history_) {
    auto matched = history_->match(found.path);
    if (!matched) return failure(matched.error());
    old = std::move(*matched);
  }
  if (!S_ISDIR(found.mode) && found.links > 1) {
    if (first_names_.contains({found.device, found.inode})) return add_again(found, old);
  }
  auto left_out = leave_out(found, old);
  if (!left_out) return failure(left_out.error());
  if (*left_out) return {};
  if (!S_ISREG(found.mode) || found.size <= settings_.packing_limit) return add_small(found, old);
  auto file = open_file(found, old);
  if (!file) return failure(file.error());
  return file->is_open() ? add_big(found, std::move(*file)) : Result<void>{};
}

// True when an earlier backup holds what the entry is; then its row alone is kept.
Result<bool> Backup::leave_out(const ScanEntry& found, const std::optional<ManifestRow>& old) {
  if (!history_) return false;
  auto held = history_->holds(old, found, hasher_);
  if (!held || !*held) return held;
  ManifestRow kept = row(found, old->in);
  kept.hash = old->hash;
  kept.is_incremental = false;
  ++unchanged_;
  name_first(found, {found.path, std::nullopt, false});
  if (auto added = keep_row(kept); !added) return failure(added.error());
  return true;
}

// Another name of what is stored already.
Result<void> Backup::add_again(const ScanEntry& found, const std::optional<ManifestRow>& old) {
  const FirstName& first = first_names_.at({found.device, found.inode});
  ManifestRow link = row(found, "");
  link.type = EntryType::kHardLink;
  link.target = first.path;
  const bool is_known = old && old->type == EntryType::kHardLink && old->target == first.path;
  if (is_known && !old->in.empty() && !first.sent) {
    link.in = old->in;
    link.is_incremental = false;
    ++unchanged_;
    return keep_row(link);
  }
  if (first.item) {
    index_[*first.item].links.push_back(found.path);
    link.in = index_[*first.item].file_name;
    return keep_row(link);
  }
  Entry entry = header_of(found);
  entry.type = EntryType::kHardLink;
  entry.size = 0;
  entry.link_target = first.path;
  auto part = parts_.add(entry);
  if (!part) return failure(part.error());
  link.in = std::move(*part);
  return keep_part_row(link);
}

// The entry's content, or none when it cannot be read: that is counted and the walk goes on, and
// what an earlier backup has of it stays.
Result<UniqueFd> Backup::open_file(const ScanEntry& found, const std::optional<ManifestRow>& old) {
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  UniqueFd file(retry([&] { return ::openat(found.parent.get(), found.name.c_str(), kFlags); }));
  if (file.is_open()) return file;
  if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) return errno_failure(found.path);
  ++unreadable_count_;
  if (unreadable_.size() < 100) {
    unreadable_.push_back(Error::from_errno(errno, found.path).message());
  }
  if (old && old->type == EntryType::kFile && !old->in.empty()) {
    if (auto kept = keep_row(*old); !kept) return failure(kept.error());
  }
  return UniqueFd();
}

Result<void> Backup::add_small(const ScanEntry& found, const std::optional<ManifestRow>& old) {
  if (!S_ISREG(found.mode)) {
    auto part = parts_.add(header_of(found));
    if (!part) return failure(part.error());
    name_first(found, {found.path, std::nullopt});
    return keep_part_row(row(found, *part));
  }
  auto file = open_file(found, old);
  if (!file) return failure(file.error());
  if (!file->is_open()) return {};
  auto packed = parts_.add_file(header_of(found), file->borrow());
  if (!packed) return failure(packed.error());
  work_.bytes_packed += found.size;
  name_first(found, {found.path, std::nullopt});
  ManifestRow added = row(found, packed->part);
  added.hash = std::move(packed->hash);
  return keep_part_row(added);
}

Result<void> Backup::add_big(const ScanEntry& found, UniqueFd file) {
  ManifestRow added = row(found, "");
  if (auto sent = big_files_.add(found, std::move(file), added); !sent) return sent;
  name_first(found, {found.path, index_.size() - 1});
  work_.bytes_shared += found.size;
  return keep_row(added);
}

ManifestRow Backup::row(const ScanEntry& found, const std::string& in) const {
  if (!history_) return {};
  ManifestRow made = row_of(found, history_->scan_start());
  made.in = in;
  made.is_incremental = true;
  return made;
}

Result<void> Backup::keep_row(const ManifestRow& row) {
  return history_ ? history_->add(row) : Result<void>{};
}

Result<void> Backup::keep_part_row(const ManifestRow& row) {
  if (!history_) return {};
  if (auto noted = parts_.note(row); !noted) return noted;
  return history_->add(row);
}

void Backup::name_first(const ScanEntry& found, FirstName first) {
  if (found.links <= 1 || S_ISDIR(found.mode)) return;
  first_names_[{found.device, found.inode}] = std::move(first);
}

Result<void> Backup::send_index() {
  const std::string json = write_index(index_);
  const auto* bytes = reinterpret_cast<const uint8_t*>(json.data());
  auto file = sealed_memfd("manage.json", std::span(bytes, json.size()));
  if (!file) return failure(file.error());
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(*file));
  if (history_) {
    auto manifest = history_->finish();
    if (!manifest) return failure(manifest.error());
    fds.push_back(std::move(*manifest));
  }
  auto sent = link_.send_file("manage.json", std::move(fds));
  if (!sent) return failure(sent.error());
  return {};
}

Result<void> Backup::send_report() {
  if (!app_report_.empty()) {
    if (auto sent = link_.report(app_report_); !sent) return sent;
  }
  Tally tally;
  tally.kind = history_ ? "incremental" : "full";
  tally.stored = totals_.stored;
  tally.unchanged = unchanged_;
  tally.failed = totals_.unreadable + totals_.unsupported;
  tally.details = totals_.details;
  tally.bytes_moved = work_.bytes_packed;
  tally.bytes_shared = work_.bytes_shared;
  tally.spent = std::chrono::steady_clock::now() - start_;
  nlohmann::json more = {{"excluded", totals_.excluded},
                         {"unreadable", totals_.unreadable},
                         {"unsupported", totals_.unsupported},
                         {"vanished", totals_.vanished}};
  if (history_ && !history_->why_full().empty()) more["whyFull"] = history_->why_full();
  return link_.report(result_report(tally, more));
}

}  // namespace

Result<void> back_up(BorrowedFd sandbox, const Settings& settings, UniqueFd old_manifest,
                     Hook& hook, Link& link) {
  return Backup(sandbox, settings, hook, link).run(std::move(old_manifest));
}

}  // namespace backupkit
