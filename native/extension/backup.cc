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
#include "native/extension/account.h"
#include "native/extension/big_files.h"
#include "native/extension/file_hasher.h"
#include "native/extension/history.h"
#include "native/extension/parts.h"
#include "native/extension/report.h"
#include "native/io/tmpfile.h"
#include "native/manifest/index.h"
#include "native/manifest/manifest.h"
#include "native/manifest/scan.h"
#include "native/manifest/walk_order.h"

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
    int problem = 0;             // the errno for which it could not be read
  };

  Result<void> visit(const ScanEntry& found);
  Result<bool> leave_out(const ScanEntry& found, const std::optional<ManifestRow>& old);
  Result<void> add_again(const ScanEntry& found, const std::optional<ManifestRow>& old);
  Result<void> add_small(const ScanEntry& found, const std::optional<ManifestRow>& old);
  Result<void> add_big(const ScanEntry& found, UniqueFd file);
  Result<UniqueFd> open_file(const ScanEntry& found, const std::optional<ManifestRow>& old);
  Result<void> miss(const Missed& missed);
  Result<void> lose(const ScanEntry& found, const std::optional<ManifestRow>& old, int problem);
  [[nodiscard]] bool may_keep(const ManifestRow& row, const Missed& missed) const;
  [[nodiscard]] std::string milliseconds_text() const { return std::to_string(seed_ / 1'000'000); }
  [[nodiscard]] ManifestRow row(const ScanEntry& found, const std::string& in) const;
  Result<void> keep_row(const ManifestRow& row);
  Result<void> store_row(const ManifestRow& row);
  Result<void> store_part_row(const ManifestRow& row);
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
  Account account_{settings_.rules};
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
  const ScanHandlers handlers{.visit = [this](const ScanEntry& found) { return visit(found); },
                              .miss = [this](const Missed& missed) { return miss(missed); }};
  if (auto walked = scan(sandbox_, settings_.rules, handlers); !walked) return walked;
  if (auto sent = parts_.finish(); !sent) return sent;
  if (auto sent = send_index(); !sent) return sent;
  if (auto sent = send_report(); !sent) return sent;
  return account_.verdict(settings_.bundle);
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
  name_first(found, {.path = found.path, .item = std::nullopt, .sent = false});
  if (auto added = store_row(kept); !added) return failure(added.error());
  return true;
}

// Another name of what is stored already.
Result<void> Backup::add_again(const ScanEntry& found, const std::optional<ManifestRow>& old) {
  const FirstName& first = first_names_.at({found.device, found.inode});
  if (first.problem != 0) return lose(found, old, first.problem);
  ManifestRow link = row(found, "");
  link.type = EntryType::kHardLink;
  link.target = first.path;
  const bool is_known = old && old->type == EntryType::kHardLink && old->target == first.path;
  if (is_known && !old->in.empty() && !first.sent) {
    link.in = old->in;
    link.is_incremental = false;
    ++unchanged_;
    return store_row(link);
  }
  if (first.item) {
    index_[*first.item].links.push_back(found.path);
    link.in = index_[*first.item].file_name;
    return store_row(link);
  }
  Entry entry = header_of(found);
  entry.type = EntryType::kHardLink;
  entry.size = 0;
  entry.link_target = first.path;
  auto part = parts_.add(entry);
  if (!part) return failure(part.error());
  link.in = std::move(*part);
  return store_part_row(link);
}

// The entry's content, or none: then it was said where it ended.
Result<UniqueFd> Backup::open_file(const ScanEntry& found, const std::optional<ManifestRow>& old) {
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  UniqueFd file(retry([&] { return ::openat(found.parent.get(), found.name.c_str(), kFlags); }));
  if (file.is_open()) return file;
  if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) return errno_failure(found.path);
  if (auto lost = lose(found, old, errno); !lost) return failure(lost.error());
  return UniqueFd();
}

// What could not be looked at may be as it was: its rows of the last backup stay.
Result<void> Backup::miss(const Missed& missed) {
  account_.miss(missed);
  if (!history_ || missed.fate != Fate::kUnreadable) return {};
  return history_->keep(missed.path, [&](const ManifestRow& row) { return may_keep(row, missed); });
}

// The same for one whose row was asked for.
Result<void> Backup::lose(const ScanEntry& found, const std::optional<ManifestRow>& old,
                          int problem) {
  Missed missed{Fate::kUnreadable, found.path, problem, {}, found.device};
  // ELOOP and ENXIO: it was replaced by a link or a socket.
  const bool gone = problem == ENOENT || problem == ELOOP || problem == ENXIO;
  if (gone) missed.fate = Fate::kVanished;
  account_.miss(missed);
  if (gone) return {};
  name_first(found, {.path = found.path, .item = std::nullopt, .sent = false, .problem = problem});
  if (!old || old->in.empty() || !may_keep(*old, missed)) return {};
  ManifestRow kept = *old;
  kept.is_incremental = false;
  return keep_row(kept);
}

// Whether the row still says what would be restored by it.
bool Backup::may_keep(const ManifestRow& row, const Missed& missed) const {
  const auto verdict = settings_.rules.explain(row.path, S_ISDIR(row.mode)).judgement.verdict;
  if (verdict != Rules::Verdict::kTake && verdict != Rules::Verdict::kDescend) return false;
  if (row.type != EntryType::kHardLink || is_below(row.target, missed.path)) return true;
  const auto first = first_names_.find({missed.device, row.inode});
  return first != first_names_.end() && first->second.path == row.target;
}

Result<void> Backup::add_small(const ScanEntry& found, const std::optional<ManifestRow>& old) {
  if (!S_ISREG(found.mode)) {
    auto part = parts_.add(header_of(found));
    if (!part) return failure(part.error());
    name_first(found, {.path = found.path, .item = std::nullopt});
    return store_part_row(row(found, *part));
  }
  auto file = open_file(found, old);
  if (!file) return failure(file.error());
  if (!file->is_open()) return {};
  auto packed = parts_.add_file(header_of(found), file->borrow());
  if (!packed) return failure(packed.error());
  work_.bytes_packed += found.size;
  name_first(found, {.path = found.path, .item = std::nullopt});
  ManifestRow added = row(found, packed->part);
  added.hash = std::move(packed->hash);
  return store_part_row(added);
}

Result<void> Backup::add_big(const ScanEntry& found, UniqueFd file) {
  ManifestRow added = row(found, "");
  if (auto sent = big_files_.add(found, std::move(file), added); !sent) return sent;
  name_first(found, {.path = found.path, .item = index_.size() - 1});
  work_.bytes_shared += found.size;
  return store_row(added);
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

Result<void> Backup::store_row(const ManifestRow& row) {
  account_.store();
  return keep_row(row);
}

Result<void> Backup::store_part_row(const ManifestRow& row) {
  if (auto noted = history_ ? parts_.note(row) : Result<void>{}; !noted) return noted;
  return store_row(row);
}

void Backup::name_first(const ScanEntry& found, FirstName first) {
  if (found.links <= 1 || S_ISDIR(found.mode)) return;
  first_names_.try_emplace({found.device, found.inode}, std::move(first));
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
  tally.unchanged = unchanged_;
  tally.bytes_moved = work_.bytes_packed;
  tally.bytes_shared = work_.bytes_shared;
  tally.spent = std::chrono::steady_clock::now() - start_;
  nlohmann::json more;
  account_.write(tally, more);
  if (history_ && !history_->why_full().empty()) more["whyFull"] = history_->why_full();
  return link_.report(result_report(tally, more));
}

}  // namespace

Result<void> back_up(BorrowedFd sandbox, const Settings& settings, UniqueFd old_manifest,
                     Hook& hook, Link& link) {
  return Backup(sandbox, settings, hook, link).run(std::move(old_manifest));
}

}  // namespace backupkit
