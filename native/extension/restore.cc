#include "native/extension/restore.h"

#include <sys/statvfs.h>
#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "native/archive/tar_reader.h"
#include "native/base/syscall.h"
#include "native/extension/intake.h"
#include "native/extension/plan.h"
#include "native/extension/report.h"
#include "native/extension/stage.h"
#include "native/extension/transaction.h"
#include "native/extension/write_out.h"
#include "native/manifest/manifest_reader.h"

namespace backupkit {
namespace {

// Where a bundle with `fullBackupOnly` finds its backup.
constexpr const char* kForTheApp = ".backup/restore/";

class Restore {
 public:
  Restore(BorrowedFd sandbox, const Settings& settings, Hook& hook, Link& link,
          Transaction transaction)
      : sandbox_(sandbox),
        settings_(settings),
        hook_(hook),
        link_(link),
        transaction_(std::move(transaction)),
        intake_(sandbox, transaction_.received(), link),
        stage_(sandbox, transaction_.stage(),
               {.prefix = settings.full_backup_only ? kForTheApp : "",
                .keeps_paths = settings.is_mirror,
                .drops_labels = settings.labels != Labels::kKeep,
                .resumes = transaction_.is_resumed()}) {}

  Result<void> run();
  Transaction take() { return std::move(transaction_); }

 private:
  [[nodiscard]] Result<uint64_t> free_space() const;
  Result<void> check_space();
  Result<void> prepare();
  Result<void> begin_stage();
  Result<void> put_all();
  Result<void> unpack_part(const IndexItem& item, Hashing hashing);
  Result<uint64_t> put_entries(const IndexItem& item, TarReader& reader);
  static Result<void> check_end(const IndexItem& item, TarReader& reader, uint64_t entries);
  Result<void> spare_room(const IndexItem& part);
  Result<void> place_big(const IndexItem& item, const std::string& path);
  Result<void> settle_rows();
  Result<void> commit();
  Result<void> hand_over();
  Result<void> send_report();
  [[nodiscard]] Moved moved() const {
    return {.packed = 0, .passed = bytes_linked_, .unpacked = stage_.bytes()};
  }

  BorrowedFd sandbox_;
  const Settings& settings_;
  Hook& hook_;
  Link& link_;
  Transaction transaction_;
  Intake intake_;
  Stage stage_;
  WriteOut write_out_{transaction_.stage()};
  bool is_begun_ = false;
  uint64_t packed_ = 0;  // bytes of the parts that are not unpacked yet
  uint64_t bytes_linked_ = 0;
  std::string app_report_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

Result<void> Restore::run() {
  auto prepared = prepare();
  if (!prepared) {
    const bool is_interrupted = prepared.error().code == Code::kClosed;
    if (is_interrupted && settings_.is_resumable) return prepared;
    // What it failed by counts; what this leaves is cleared by the next recover().
    (void)transaction_.undo();
    return prepared;
  }
  if (auto done = commit(); !done) return done;
  if (!app_report_.empty()) {
    if (auto sent = link_.report(app_report_); !sent) return sent;
  }
  return send_report();
}

// Everything that can fail without a trace.
Result<void> Restore::prepare() {
  if (auto enough = check_space(); !enough) return enough;
  const auto unpack = [this](const IndexItem& part) {
    if (auto begun = begin_stage(); !begun) return begun;
    return unpack_part(part, Hashing::kYes);
  };
  if (auto received = intake_.receive(unpack); !received) return received;
  if (auto begun = begin_stage(); !begun) return begun;
  if (auto put = put_all(); !put) return put;
  if (intake_.selection().is_complete()) {
    if (auto settled = settle_rows(); !settled) return settled;
  }
  return stage_.finish();
}

// Before anything is put into the stage, which may have something of an interrupted restore.
Result<void> Restore::begin_stage() {
  if (std::exchange(is_begun_, true)) return {};
  for (const auto& item : intake_.index()) packed_ += item.is_big_file ? 0 : item.size;
  if (!settings_.is_resumable) return {};
  auto identity = intake_.identity(settings_.text);
  if (!identity) return failure(identity.error());
  return transaction_.identify(*identity);
}

Result<uint64_t> Restore::free_space() const {
  struct statvfs file_system{};
  if (retry([&] { return ::fstatvfs(sandbox_.get(), &file_system); }) != 0) {
    return errno_failure("space for the restore");
  }
  return file_system.f_bavail * file_system.f_frsize;
}

// What the files of the backup need. What goes is kept until the new data stand, so it is no room.
// One that is resumed has been here before, and what it has taken since it will not need again.
Result<void> Restore::check_space() {
  auto free = free_space();
  if (!free) return failure(free.error());
  if (*free >= settings_.space_needed || transaction_.is_resumed()) return {};
  return failure(Code::kNoSpace, "the backup needs " + std::to_string(settings_.space_needed) +
                                     " bytes beside the present data and " + std::to_string(*free) +
                                     " are free: make room and restore again");
}

// The parts, then the big files, then the hard links, which may lead from either to either.
Result<void> Restore::put_all() {
  for (const auto& item : intake_.index()) {
    if (item.is_big_file || intake_.is_unpacked(item.file_name)) continue;
    if (auto unpacked = unpack_part(item, Hashing::kNo); !unpacked) return unpacked;
  }
  for (const auto& item : intake_.index()) {
    if (!item.is_big_file) continue;
    const std::string* place = intake_.selection().place_of(item.file_name);
    if (place == nullptr && intake_.selection().takes(item.file_name, item.path)) {
      place = &item.path;
    }
    if (place == nullptr) continue;
    if (auto placed = place_big(item, *place); !placed) return placed;
  }
  return stage_.put_links();
}

Result<void> Restore::commit() {
  auto journal = plan(sandbox_, transaction_.stage(), stage_,
                      settings_.is_mirror ? &settings_.rules : nullptr);
  if (!journal) {
    (void)transaction_.undo();  // as in run()
    return failure(journal.error());
  }
  journal->settings = settings_.text;
  if (auto done = transaction_.commit(*journal); !done) return done;
  return hand_over();
}

// The app's own code works on the new data, and decides whether they stay.
Result<void> Restore::hand_over() {
  auto restored = hook_.on_restore(settings_);
  if (restored) {
    app_report_ = std::move(*restored);
    return {};
  }
  // The service has gone; whoever recovers asks the app once more.
  if (restored.error().code == Code::kClosed) return failure(restored.error());
  if (auto undone = transaction_.undo(); !undone) {
    return failure(
        restored.error().in("the old data are not back yet (" + undone.error().message() + ")"));
  }
  return failure(restored.error());
}

// What has changed of an entry since it was stored, but its content, is in its row alone.
Result<void> Restore::settle_rows() {
  const auto& selection = intake_.selection();
  const bool is_as_noted = !stage_.has_replaced();
  if (is_as_noted && selection.are_all_noted()) return {};
  auto reader = ManifestReader::open(intake_.manifest());
  if (!reader) return failure(reader.error());
  for (;;) {
    auto next = (*reader)->next();
    if (!next) return failure(next.error());
    const auto& row = *next;
    if (!row) return {};
    if (is_as_noted && selection.is_noted(*row)) continue;
    Entry entry;
    entry.path = row->path;
    entry.type = row->type;
    entry.mode = row->mode & 07777U;
    entry.uid = row->uid;
    entry.gid = row->gid;
    entry.mtime = row->mtime;
    if (auto settled = stage_.settle(entry); !settled) return settled;
    (void)link_.progress("commit", entry.path, stage_.entries(), stage_.bytes());
  }
}

// All its files stand when this returns: it may be asked for again, and is another file then.
Result<void> Restore::unpack_part(const IndexItem& item, Hashing hashing) {
  TarReader reader(intake_.content_of(item.file_name), item.size, hashing);
  const auto entries = put_entries(item, reader);
  if (!entries) return failure(entries.error().in(item.file_name));
  if (hashing == Hashing::kYes) {
    const auto hash = reader.hash();
    if (!hash) return failure(hash.error().in(item.file_name));
    if (auto good = Intake::check_hash(item, *hash); !good) return good;
  }
  if (auto whole = check_end(item, reader, *entries); !whole) return whole;
  if (auto made = stage_.await_files(); !made) return failure(made.error().in(item.file_name));
  write_out_.note(stage_.bytes());
  return spare_room(item);
}

// How many there are, whether or not they are taken.
Result<uint64_t> Restore::put_entries(const IndexItem& item, TarReader& reader) {
  auto& selection = intake_.selection();
  for (uint64_t entries = 0;; ++entries) {
    auto next = reader.next();
    if (!next) return failure(next.error());
    auto& entry = *next;
    if (!entry) return entries;
    if (!selection.takes(item.file_name, entry->path)) continue;
    // The restore goes on when the service has gone meanwhile: all that it needs is here.
    link_.moved(moved());
    (void)link_.progress("commit", entry->path, stage_.entries(), stage_.bytes());
    selection.note(item.file_name, *entry);
    auto put = stage_.put(std::move(*entry), reader, intake_.content_of(item.file_name));
    if (!put) return failure(put.error());
  }
}

Result<void> Restore::check_end(const IndexItem& item, TarReader& reader, uint64_t entries) {
  if (item.hash.empty() && item.entries == 0) {  // nothing else vouches for it
    if (auto whole = reader.check_rest(); !whole) return failure(whole.error().in(item.file_name));
    if (!reader.has_end()) {
      return failure(Code::kUnpackFailed,
                     "'" + item.file_name + "' ends without an end: it is cut off");
    }
  }
  if (item.entries == entries || item.entries == 0) return {};
  return failure(Code::kUnpackFailed, "'" + item.file_name + "' has " + std::to_string(entries) +
                                          " entries and should have " +
                                          std::to_string(item.entries));
}

// The part is in the stage; for one who resumes it is kept while there is room for all the others.
Result<void> Restore::spare_room(const IndexItem& part) {
  packed_ -= std::min(packed_, part.size);
  if (settings_.is_resumable) {
    auto free = free_space();
    if (!free) return failure(free.error());
    if (*free / 2 >= packed_) return {};
  }
  return intake_.drop(part.file_name);
}

Result<void> Restore::place_big(const IndexItem& item, const std::string& path) {
  Entry entry;
  entry.path = path;
  entry.type = EntryType::kFile;
  entry.mode = item.mode & 07777U;
  entry.uid = item.uid;
  entry.gid = item.gid;
  entry.size = item.size;
  entry.mtime = item.modification;
  entry.xattrs = item.xattrs;
  entry.holes = item.holes;
  const auto content = intake_.content_of(item.file_name);
  const bool is_foreign = intake_.is_foreign(item.file_name);
  auto placed = is_foreign ? stage_.put_copy(entry, content) : stage_.put_file(entry, content);
  if (!placed) return placed;
  intake_.selection().note(item.file_name, entry);
  bytes_linked_ += is_foreign ? 0 : item.size;
  for (const auto& name : item.links) {
    if (name == path || !intake_.selection().takes(item.file_name, name)) continue;
    Entry link = entry;
    link.path = name;
    link.type = EntryType::kHardLink;
    link.link_target = path;
    if (auto put = stage_.put_link(link); !put) return put;
  }
  return {};
}

Result<void> Restore::send_report() {
  Tally tally;
  tally.kind = intake_.selection().is_complete() ? "incremental" : "full";
  tally.stored = stage_.entries();
  tally.bytes_moved = stage_.bytes();
  tally.bytes_shared = bytes_linked_;
  link_.moved(moved());
  tally.spent = std::chrono::steady_clock::now() - start_;
  return link_.report(result_report(tally, nlohmann::json::object()));
}

}  // namespace

Result<Transaction> restore(BorrowedFd sandbox, const Settings& settings, Hook& hook, Link& link) {
  auto transaction = Transaction::begin(sandbox, {.is_resumable = settings.is_resumable,
                                                  .keeps_directory = settings.keeps_directory});
  if (!transaction) return failure(transaction.error());
  Restore work(sandbox, settings, hook, link, std::move(*transaction));
  if (auto done = work.run(); !done) return failure(done.error());
  return work.take();
}

}  // namespace backupkit
