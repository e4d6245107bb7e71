#include "native/extension/backup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "native/base/syscall.h"
#include "native/extension/account.h"
#include "native/extension/app_ready.h"
#include "native/extension/attributes.h"
#include "native/extension/beside.h"
#include "native/extension/big_files.h"
#include "native/extension/content.h"
#include "native/extension/file_hasher.h"
#include "native/extension/first_names.h"
#include "native/extension/parts.h"
#include "native/extension/read_ahead.h"
#include "native/extension/report.h"
#include "native/extension/rows.h"
#include "native/extension/small_files.h"
#include "native/extension/sqlite_unit.h"
#include "native/io/tmpfile.h"
#include "native/manifest/index.h"
#include "native/manifest/manifest.h"
#include "native/manifest/moved_scan.h"
#include "native/manifest/scan.h"

namespace backupkit {
namespace {

uint64_t now_in_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

// The size of what is restored by the row, with its holes.
uint64_t content_of(const ManifestRow& row) { return row.type == EntryType::kFile ? row.size : 0; }

class Backup {
 public:
  Backup(BorrowedFd sandbox, const Settings& settings, Hook& hook, Link& link)
      : sandbox_(sandbox),
        settings_(settings),
        hook_(hook),
        link_(link),
        parts_(sandbox, settings.is_incremental ? milliseconds_text() + "_" : "",
               settings.is_incremental, link, index_),
        small_files_(settings.packing_limit, settings.labels, parts_, hasher_, work_),
        big_files_({.seed = seed_,
                    .labels = settings.labels,
                    .hashes = settings.hashes_big_files,
                    .with_manifests = settings.is_incremental,
                    .row = [this](const ScanEntry& found,
                                  const std::string& in) { return rows_.make(found, in); }},
                   link, hasher_, work_, account_, index_) {}

  Result<void> run(UniqueFd old_manifest);

 private:
  Result<void> prepare(UniqueFd old_manifest);
  Result<void> walk();
  Result<void> visit(const ScanEntry& found, ReadFile* read);
  Result<void> take(const ScanEntry& found, BorrowedFd copy, ReadFile* read = nullptr);
  Result<bool> keep_unchanged(const ScanEntry& found);
  [[nodiscard]] bool is_too_long(const ScanEntry& found) const;
  Result<std::optional<SqliteUnit>> unit_of(const ScanEntry& found,
                                            const std::optional<ManifestRow>& old,
                                            std::optional<ManifestRow>& by);
  Result<void> take_unit(SqliteUnit unit, const std::optional<ManifestRow>& old,
                         const std::optional<ManifestRow>& by);
  Result<void> take_beside_before(const std::string* path);
  Result<void> keep_last(const ScanEntry& found, const ManifestRow& old);
  Result<void> add_again(const ScanEntry& found, const std::optional<ManifestRow>& old);
  Result<void> add(const ScanEntry& found, const std::optional<ManifestRow>& old, BorrowedFd copy);
  Result<void> add_plain(ScanEntry found, const std::optional<ManifestRow>& old);
  Result<void> add_file(ScanEntry found, const std::optional<ManifestRow>& old, BorrowedFd copy);
  Result<void> add_read(const ScanEntry& found, ReadFile& read);
  Result<void> miss(const Missed& missed);
  Result<void> lose(const ScanEntry& found, const std::optional<ManifestRow>& old,
                    const Handling& handling);
  [[nodiscard]] Rules::Verdict verdict_on(const std::string& path, bool is_directory) const {
    return settings_.rules.explain(moves_.source_of(path), is_directory).judgement.verdict;
  }
  [[nodiscard]] bool may_keep(const ManifestRow& row, const Missed& missed) const;
  [[nodiscard]] std::string milliseconds_text() const { return std::to_string(seed_ / 1'000'000); }
  Result<void> store_row(const ManifestRow& row);
  Result<void> store_part_row(const ManifestRow& row);
  Result<void> send_index();
  Result<void> send_report();

  BorrowedFd sandbox_;
  const Settings& settings_;
  Hook& hook_;
  Link& link_;
  uint64_t seed_ = now_in_ns();
  Work work_;
  FileHasher hasher_{link_, work_};
  Rows rows_{settings_.labels, hasher_};
  std::vector<IndexItem> index_;
  Moves moves_;
  Account account_{settings_.rules, moves_};
  Parts parts_;
  SmallFiles small_files_;
  BigFiles big_files_;
  std::string app_report_;
  FirstNames first_names_;
  Beside beside_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  uint64_t unchanged_ = 0;
};

// What comes before the first entry.
Result<void> Backup::prepare(UniqueFd old_manifest) {
  auto ready = make_app_ready(sandbox_, settings_, hook_, link_);
  if (!ready) return failure(ready.error());
  app_report_ = std::move(ready->report);
  moves_ = std::move(ready->moves);
  if (auto told = link_.progress("scan", "", 0, 0); !told) return told;
  if (settings_.is_incremental) {
    // Stores to mapped pages move a file's times at the latest when they are written back.
    if (::syncfs(sandbox_.get()) != 0) return errno_failure("sync of the sandbox");
    return rows_.open(sandbox_, std::move(old_manifest));
  }
  return {};
}

Result<void> Backup::run(UniqueFd old_manifest) {
  if (auto prepared = prepare(std::move(old_manifest)); !prepared) return prepared;
  if (auto walked = walk(); !walked) return walked;
  if (auto taken = take_beside_before(nullptr); !taken) return taken;
  if (auto sent = parts_.finish(); !sent) return sent;
  if (auto looked = big_files_.finish(); !looked) return looked;
  if (settings_.freezes) {
    if (auto thawed = link_.thaw(); !thawed) return thawed;
  }
  if (auto sent = send_index(); !sent) return sent;
  if (auto sent = send_report(); !sent) return sent;
  return account_.verdict(settings_.bundle);
}

// Where there is no last backup every file has to be read: that is what the other threads do then,
// and else they look at directories.
Result<void> Backup::walk() {
  const bool reads_all = !rows_.have_past();
  const size_t threads = ReadAhead::usual_threads();
  ReadAhead ahead(
      {.limit = settings_.packing_limit,
       .labels = settings_.labels,
       .hashes = rows_.are_kept(),
       .reads = reads_all,
       .threads = reads_all ? threads : 0},
      {[this](const ScanEntry& found, ReadFile* read) { return visit(found, read); },
       [this](const Missed& missed) { return miss(missed); }, [this] { return link_.flush(); }});
  const ScanHandlers handlers{
      .visit = [&](const ScanEntry& found) { return ahead.visit(found); },
      .miss = [&](const Missed& missed) { return ahead.miss(missed); },
  };
  const size_t helpers = reads_all ? 0 : threads;
  auto walked = scan_moved(sandbox_, settings_.rules, moves_, handlers, helpers);
  if (!walked) return walked;
  return ahead.finish();
}

Result<void> Backup::visit(const ScanEntry& found, ReadFile* read) {
  ++work_.entries;
  link_.moved(work_.moved());
  if (auto told = link_.progress("pack", found.path, work_.entries, work_.bytes()); !told) {
    return told;
  }
  if (auto looked = big_files_.look_again(); !looked) return looked;
  if (auto taken = take_beside_before(&found.path); !taken) return taken;
  const auto beside = beside_.take(found.path);
  if (!beside) {
    auto kept = keep_unchanged(found);
    if (!kept) return failure(kept.error());
    return *kept ? Result<void>{} : take(found, BorrowedFd(), read);
  }
  if (beside->is_kept()) return take(beside->member.found, beside->member.copy.borrow());
  if (!S_ISREG(found.mode)) return take(found, BorrowedFd());  // it belongs to no database
  auto old = rows_.last(found.path);
  if (!old) return failure(old.error());
  // Without a copy it was not there when its database was taken, and does not belong to it.
  return lose(found, *old, beside->lost.value_or(Handling{.fate = Fate::kVanished}));
}

// Keeps the row of an entry that is neither another name of one nor one of several files that
// belong together, if it is unchanged. False: it has to be looked at.
Result<bool> Backup::keep_unchanged(const ScanEntry& found) {
  if (!rows_.are_kept() || is_too_long(found) || may_be_database(found)) return false;
  if (may_have_names(found)) return false;
  auto kept = rows_.keep_unchanged(found);
  if (!kept || !*kept) return kept;
  ++unchanged_;
  work_.space += occupied(found);
  account_.store();
  return true;
}

// Takes an entry, as its `copy` has it if there is one.
Result<void> Backup::take(const ScanEntry& found, BorrowedFd copy, ReadFile* read) {
  auto old = rows_.last(found.path);
  if (!old) return failure(old.error());
  if (is_too_long(found)) {
    return lose(found, *old, {.fate = Fate::kUnreadable, .sys_errno = ENAMETOOLONG});
  }
  if (first_names_.find(found) != nullptr) return add_again(found, *old);
  if (S_ISREG(found.mode) && !copy.is_open()) {
    std::optional<ManifestRow> by;
    auto unit = unit_of(found, *old, by);
    if (!unit) return failure(unit.error());
    if (auto& taken = *unit) return take_unit(std::move(*taken), *old, by);
  }
  const auto held = rows_.held(found, *old, copy);
  if (!held) return failure(held.error());
  if (const auto& by = *held) return keep_last(found, *by);
  return read != nullptr ? add_read(found, *read) : add(found, *old, copy);
}

// The database that the entry is, if it is one; `by` is set to the row by which an earlier backup
// holds it.
Result<std::optional<SqliteUnit>> Backup::unit_of(const ScanEntry& found,
                                                  const std::optional<ManifestRow>& old,
                                                  std::optional<ManifestRow>& by) {
  if (!may_be_database(found)) return std::nullopt;
  // Its locks may be waited for.
  if (auto sent = link_.flush(); !sent) return failure(sent.error());
  const auto wants = [&](const ScanEntry& now) -> Result<bool> {
    auto held = rows_.held(now, old, BorrowedFd());
    if (!held) return failure(held.error());
    by = std::move(*held);
    return !by;
  };
  return take_sqlite_unit(found, sandbox_, settings_.labels, wants);
}

// Takes a database, and remembers what is beside it until the walk comes by.
Result<void> Backup::take_unit(SqliteUnit unit, const std::optional<ManifestRow>& old,
                               const std::optional<ManifestRow>& by) {
  const Handling handling{.fate = unit.fate, .sys_errno = unit.sys_errno};
  const bool is_lost = unit.fate != Fate::kStored;
  beside_.add(
      unit, is_lost ? std::optional(handling) : std::nullopt,
      [this](const std::string& path) { return verdict_on(path, false) == Rules::Verdict::kTake; });
  const auto& [found, copy] = unit.database;
  if (is_lost) return lose(found, old, handling);
  return by ? keep_last(found, *by) : add_file(found, old, copy.borrow());
}

// Takes what was beside a database and is gone by now: the walk does not come by.
Result<void> Backup::take_beside_before(const std::string* path) {
  while (const auto beside = beside_.take_before(path)) {
    if (!beside->is_kept()) continue;
    const auto& [found, copy] = beside->member;
    if (auto taken = take(found, copy.borrow()); !taken) return taken;
  }
  return {};
}

// True when no archive, or no manifest, takes its path and what it leads to.
bool Backup::is_too_long(const ScanEntry& found) const {
  if (std::max(found.path.size(), found.link_target.size()) > kMaxTarPath) return true;
  if (!may_have_names(found)) return !rows_.fit(found.path, found.link_target);
  const FirstName* first = first_names_.find(found);
  return !rows_.fit(found.path, first != nullptr ? first->path : "");
}

// Keeps the row of what an earlier backup holds, and nothing else.
Result<void> Backup::keep_last(const ScanEntry& found, const ManifestRow& old) {
  ManifestRow kept = rows_.make(found, old.in);
  kept.hash = old.hash;
  kept.xattrs = old.xattrs;
  kept.holes = old.holes;
  kept.is_incremental = false;
  ++unchanged_;
  work_.space += occupied(found);
  rows_.take(found);
  first_names_.note(found, {.path = found.path, .sent = false});
  return store_row(kept);
}

// Another name of what is stored already.
Result<void> Backup::add_again(const ScanEntry& found, const std::optional<ManifestRow>& old) {
  const FirstName& first = *first_names_.find(found);
  if (first.lost) return lose(found, old, *first.lost);
  ManifestRow link = rows_.make(found, "");
  link.type = EntryType::kHardLink;
  link.target = first.path;
  const bool is_known = old && old->type == EntryType::kHardLink && old->target == first.path;
  if (is_known && !old->in.empty() && !first.sent) {
    link.in = old->in;
    link.is_incremental = false;
    ++unchanged_;
    return store_row(link);
  }
  if (first.item && index_[*first.item].file_name.empty()) {
    return lose(found, old, {.fate = Fate::kUnstable});
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

// What could not be looked at may be as it was: its rows of the last backup stay.
Result<void> Backup::miss(const Missed& missed) {
  if (missed.fate == Fate::kVanished && beside_.keeps(missed.path)) return {};  // it is taken yet
  account_.miss(missed);
  if (missed.fate != Fate::kUnreadable) return {};
  (void)beside_.take(missed.path);
  if (auto taken = take_beside_before(&missed.path); !taken) return taken;
  return rows_.keep(missed.path, [&](const ManifestRow& row) {
    const bool keeps = may_keep(row, missed);
    if (keeps) work_.space += content_of(row);
    return keeps;
  });
}

// The same for one whose row was asked for.
Result<void> Backup::lose(const ScanEntry& found, const std::optional<ManifestRow>& old,
                          const Handling& handling) {
  const Missed missed{handling.fate, found.path, handling.sys_errno, {}, found.device};
  account_.miss(missed);
  if (handling.fate == Fate::kVanished) return {};
  first_names_.note(found, {.path = found.path, .sent = false, .lost = handling});
  if (!old || old->in.empty() || !may_keep(*old, missed)) return {};
  ManifestRow kept = *old;
  kept.is_incremental = false;
  work_.space += content_of(kept);
  return rows_.add(kept);
}

// Whether the row still says what would be restored by it.
bool Backup::may_keep(const ManifestRow& row, const Missed& missed) const {
  const auto verdict = verdict_on(row.path, S_ISDIR(row.mode));
  if (verdict != Rules::Verdict::kTake && verdict != Rules::Verdict::kDescend) return false;
  if (row.type != EntryType::kHardLink || is_below(row.target, missed.path)) return true;
  const FirstName* first = first_names_.find(missed.device, row.inode);
  return first != nullptr && first->path == row.target;
}

Result<void> Backup::add(const ScanEntry& found, const std::optional<ManifestRow>& old,
                         BorrowedFd copy) {
  return S_ISREG(found.mode) ? add_file(found, old, copy) : add_plain(found, old);
}

// An entry without content.
Result<void> Backup::add_plain(ScanEntry found, const std::optional<ManifestRow>& old) {
  if (auto read = read_attributes(found, BorrowedFd(), settings_.labels); !read) {
    const auto handling = handling_of(read.error());
    return handling ? lose(found, old, *handling) : failure(handling.error());
  }
  auto part = parts_.add(header_of(found));
  if (!part) return failure(part.error());
  first_names_.note(found, {.path = found.path});
  return store_part_row(rows_.make(found, *part));
}

Result<void> Backup::add_file(ScanEntry found, const std::optional<ManifestRow>& old,
                              BorrowedFd copy) {
  bool is_big = found.size > settings_.packing_limit;
  Result<Handling> handling;
  if (!is_big) {
    handling = small_files_.pack(found, copy);
    is_big = handling && handling->grew;
  }
  if (is_big) handling = big_files_.add(found, old, copy);
  if (!handling) return failure(handling.error());
  if (handling->fate != Fate::kStored) return lose(found, old, *handling);
  work_.space += occupied(found);
  FirstName first{.path = found.path};
  if (is_big) first.item = index_.size() - 1;
  first_names_.note(found, first);
  ManifestRow added = rows_.make(found, handling->in);
  added.hash = std::move(handling->hash);
  if (is_big) return store_row(added);
  work_.bytes_packed += found.size;
  return store_part_row(added);
}

// A file that was read ahead: it is small, and has no other name.
Result<void> Backup::add_read(const ScanEntry& found, ReadFile& read) {
  auto part = parts_.add_encoded(std::move(read.encoded));
  if (!part) return failure(part.error());
  ManifestRow added = rows_.make(found, *part);
  added.hash = std::move(read.hash);
  work_.space += occupied(found);
  work_.bytes_packed += found.size;
  return store_part_row(added);
}

Result<void> Backup::store_row(const ManifestRow& row) {
  account_.store();
  return rows_.add(row);
}

Result<void> Backup::store_part_row(const ManifestRow& row) {
  if (auto noted = parts_.note(row); !noted) return noted;
  return store_row(row);
}

Result<void> Backup::send_index() {
  const std::string json = write_index(index_);
  const auto* bytes = reinterpret_cast<const uint8_t*>(json.data());
  auto file = sealed_memfd("manage.json", std::span(bytes, json.size()));
  if (!file) return failure(file.error());
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(*file));
  auto manifest = rows_.finish(big_files_.corrections());
  if (!manifest) return failure(manifest.error());
  if (manifest->is_open()) fds.push_back(std::move(*manifest));
  auto sent = link_.send_file("manage.json", std::move(fds));
  if (!sent) return failure(sent.error());
  return {};
}

Result<void> Backup::send_report() {
  if (!app_report_.empty()) {
    if (auto sent = link_.report(app_report_); !sent) return sent;
  }
  Tally tally;
  tally.kind = rows_.are_kept() ? "incremental" : "full";
  tally.unchanged = unchanged_;
  link_.moved(work_.moved());
  tally.bytes_moved = work_.bytes_packed;
  tally.bytes_shared = work_.bytes_shared;
  tally.spent = std::chrono::steady_clock::now() - start_;
  nlohmann::json more;
  account_.write(tally, more);
  more["resent"] = work_.resent;
  more["spaceOccupied"] = work_.space;
  if (const auto why = rows_.why_full(); !why.empty()) more["whyFull"] = why;
  return link_.report(result_report(tally, more));
}

}  // namespace

Result<void> back_up(BorrowedFd sandbox, const Settings& settings, UniqueFd old_manifest,
                     Hook& hook, Link& link) {
  return Backup(sandbox, settings, hook, link).run(std::move(old_manifest));
}

}  // namespace backupkit
