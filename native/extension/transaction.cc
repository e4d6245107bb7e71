#include "native/extension/transaction.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/base/syscall.h"
#include "native/extension/backup_directory.h"
#include "native/io/path.h"
#include "native/io/tmpfile.h"
#include "native/io/write.h"
#include "native/manifest/directory_names.h"

namespace backupkit {
namespace {

constexpr const char* kNew = "new";
constexpr const char* kGone = "gone";
constexpr const char* kUnfinished = "journal.new";
constexpr const char* kJournal = "journal";
constexpr const char* kUndo = "undo";
constexpr const char* kReceived = "received";
constexpr const char* kIdentity = "identity";
constexpr size_t kMaxJournal = size_t{1} << 30U;
constexpr size_t kMaxIdentity = 1024;
constexpr time_t kKeptFor = time_t{7} * 24 * 3600;  // seconds that what can be resumed is kept
constexpr mode_t kPrivate = 0700;
constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// Removes all that is in a directory.
Result<void> empty(BorrowedFd directory) {
  std::vector<char> buffer(size_t{64} << 10U);
  auto names = read_names(directory, buffer);
  if (!names) return failure(names.error());
  for (const auto& name : *names) {
    if (auto removed = remove_tree(directory, name.text); !removed) return removed;
  }
  return {};
}

Result<void> rename_to(BorrowedFd from, const std::string& name, BorrowedFd to,
                       const std::string& new_name, unsigned flags) {
  if (::renameat2(from.get(), name.c_str(), to.get(), new_name.c_str(), flags) == 0) return {};
  return errno_failure("move into place");
}

Error at(const Error& error, const std::string& path) { return error.in("'" + path + "'"); }

}  // namespace

Result<Transaction> Transaction::begin(BorrowedFd sandbox, TransactionOptions options) {
  auto lock = make_backup_directory(sandbox);
  if (!lock) return failure(lock.error());
  Transaction made(sandbox, std::move(*lock));
  made.keeps_directory_ = options.keeps_directory;
  const auto backup = made.lock_.borrow();
  if (auto swept = sweep_backup_directory(backup); !swept) return failure(swept.error());
  if (options.is_resumable) {
    auto may = made.may_resume();
    if (!may) return failure(may.error());
    made.is_resumed_ = *may;
  }
  if (!made.is_resumed_) {
    if (auto removed = remove_tree(backup, kTransaction); !removed) {
      return failure(removed.error());
    }
    if (::mkdirat(backup.get(), kTransaction, kPrivate) != 0) {
      return errno_failure("'.backup/transaction'");
    }
  }
  if (auto opened = made.open(); !opened) return failure(opened.error());
  if (options.is_resumable) {
    if (auto opened = made.open_received(); !opened) return failure(opened.error());
  }
  return made;
}

// Whether an interrupted one is there that was resumable and had not been committed.
Result<bool> Transaction::may_resume() {
  auto left = open_beneath(lock_.borrow(), kTransaction, O_RDONLY | O_DIRECTORY);
  if (!left && left.error().sys_errno == ENOENT) return false;
  if (!left) return failure(left.error());
  for (const char* name : {kJournal, kUndo}) {
    auto is_there = has_name(left->borrow(), name);
    if (!is_there) return failure(is_there.error());
    if (*is_there) return false;
  }
  return has_name(left->borrow(), kReceived);
}

Result<void> Transaction::open_received() {
  auto received = make_directories(directory_.borrow(), kReceived, kPrivate);
  if (!received) return failure(received.error());
  received_ = std::move(*received);
  const std::array<timespec, 2> now{timespec{0, UTIME_NOW}, timespec{0, UTIME_NOW}};
  if (::futimens(received_.get(), now.data()) != 0) return errno_failure("'.backup'");
  return remove_tree(directory_.borrow(), kUnfinished);
}

Result<void> Transaction::identify(const std::string& identity) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
  const UniqueFd file(
      retry([&] { return ::openat(directory_.get(), kIdentity, kFlags, mode_t{0600}); }));
  if (!file.is_open()) return errno_failure("the identity of the restore");
  const auto known = read_file(file.borrow(), kMaxIdentity);
  const std::span wanted(reinterpret_cast<const uint8_t*>(identity.data()), identity.size());
  if (known && std::ranges::equal(*known, wanted)) return {};
  if (is_resumed_) {
    // Never may an entry of another restore be found under the new name.
    if (auto emptied = empty(stage_.borrow()); !emptied) return emptied;
    if (::syncfs(stage_.get()) != 0) return errno_failure("sync of the stage");
  }
  if (::ftruncate(file.get(), 0) != 0) return errno_failure("the identity of the restore");
  return write_all(file.borrow(), wanted, "the identity of the restore");
}

Result<void> Transaction::open() {
  directory_.reset(retry([&] { return ::openat(lock_.get(), kTransaction, kDirectory); }));
  if (!directory_.is_open()) return errno_failure("'.backup/transaction'");
  auto stage = make_directories(directory_.borrow(), kNew, kPrivate);
  if (!stage) return failure(stage.error());
  auto gone = make_directories(directory_.borrow(), kGone, kPrivate);
  if (!gone) return failure(gone.error());
  stage_ = std::move(*stage);
  gone_ = std::move(*gone);
  return {};
}

Result<void> Transaction::commit(const Journal& journal) {
  journal_ = journal;
  journal_.keeps_directory = keeps_directory_;
  const auto text = write_journal(journal_);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const UniqueFd file(
      retry([&] { return ::openat(directory_.get(), kUnfinished, kFlags, mode_t{0600}); }));
  if (!file.is_open()) return errno_failure("the journal");
  const std::span bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  if (auto written = write_all(file.borrow(), bytes, "the journal"); !written) return written;
  if (::syncfs(sandbox_.get()) != 0) return errno_failure("sync of the sandbox");
  auto named = rename_to(directory_.borrow(), kUnfinished, directory_.borrow(), kJournal, 0);
  if (!named) return failure(named.error().in("the journal"));
  Result<void> done;
  if (::fsync(directory_.get()) != 0) {
    done = errno_failure("sync of the journal");
  } else {
    done = redo_all();
  }
  if (done) return {};
  if (auto undone = undo(); !undone) {
    return failure(
        done.error().in("the restore cannot be undone now (" + undone.error().message() + ")"));
  }
  return done;
}

Result<void> Transaction::finish() { return remove(); }

Result<void> Transaction::undo() {
  auto is_committed = has_name(directory_.borrow(), kJournal);
  if (!is_committed) return failure(is_committed.error());
  if (*is_committed) {
    auto named = rename_to(directory_.borrow(), kJournal, directory_.borrow(), kUndo, 0);
    if (!named) return failure(named.error().in("the journal"));
    if (::fsync(directory_.get()) != 0) return errno_failure("sync of the journal");
    if (auto undone = undo_all(); !undone) return undone;
  }
  return remove();
}

Result<void> Transaction::read(const char* name) {
  auto file = open_beneath(directory_.borrow(), name, O_RDONLY);
  if (!file) return failure(file.error());
  auto bytes = read_file(file->borrow(), kMaxJournal);
  if (!bytes) return failure(bytes.error());
  auto journal = read_journal({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  if (!journal) return failure(journal.error());
  journal_ = std::move(*journal);
  keeps_directory_ = journal_.keeps_directory;
  return {};
}

Result<void> Transaction::redo_all() {
  if (auto unlocked = unlock_directories(); !unlocked) return unlocked;
  for (size_t number = 0; number < journal_.steps.size(); ++number) {
    const Step& step = journal_.steps[number];
    if (auto done = redo(step, number); !done) return failure(at(done.error(), step.path));
  }
  if (auto changed = change_all(true); !changed) return changed;
  if (::syncfs(sandbox_.get()) != 0) return errno_failure("sync of the sandbox");
  return {};
}

Result<void> Transaction::undo_all() {
  if (auto unlocked = unlock_directories(); !unlocked) return unlocked;
  for (size_t number = 0; number < journal_.steps.size(); ++number) {
    const Step& step = journal_.steps[number];
    auto done = step.old != 0 ? bring_back(step, number) : take_out(step, number);
    if (!done) return failure(at(done.error(), step.path));
  }
  if (auto changed = change_all(false); !changed) return changed;
  if (::syncfs(sandbox_.get()) != 0) return errno_failure("sync of the sandbox");
  return {};
}

Result<void> Transaction::redo(const Step& step, size_t number) {
  auto parent = parent_of(step.path);
  if (!parent) return failure(parent.error());
  const auto name = base_name(step.path);
  auto kept = kept_of(step, number);
  if (!kept) return failure(kept.error());
  if (kept->inode != step.inode) return {};
  auto there = identity_of(*parent, name);
  if (!there) return failure(there.error());
  if (there->inode != step.old) {
    return failure(Error::from_errno(
        EBUSY, "somebody changed it during the restore: stop the app and restore again"));
  }
  if (step.inode == 0) {
    return rename_to(*parent, name, kept->directory, kept->name, RENAME_NOREPLACE);
  }
  const unsigned flags = step.old != 0 ? RENAME_EXCHANGE : RENAME_NOREPLACE;
  return rename_to(kept->directory, kept->name, *parent, name, flags);
}

// Where what comes waits for its step, and what goes is kept after it; and the inode that is there.
Result<Transaction::Kept> Transaction::kept_of(const Step& step, size_t number) {
  Kept kept{gone_.borrow(), std::to_string(number)};
  if (step.inode != 0) {
    auto staged_parent = staged_parent_of(step.path);
    if (!staged_parent) return failure(staged_parent.error());
    kept = {*staged_parent, base_name(step.path)};
  }
  auto there = identity_of(kept.directory, kept.name);
  if (!there) return failure(there.error());
  kept.inode = there->inode;
  return kept;
}

// Puts what was at the step's path before back to it.
Result<void> Transaction::bring_back(const Step& step, size_t number) {
  auto parent = parent_of(step.path);
  if (!parent) return failure(parent.error());
  const auto name = base_name(step.path);
  auto there = identity_of(*parent, name);
  if (!there) return failure(there.error());
  if (there->inode == step.old) return {};
  auto kept = kept_of(step, number);
  if (!kept) return failure(kept.error());
  // The step was not taken: somebody else has changed what was there.
  if (kept->inode == step.inode) return {};
  if (kept->inode != step.old) {
    return failure(Code::kIo, "what was there is neither in its place nor in the transaction");
  }
  return rename_to(kept->directory, kept->name, *parent, name,
                   there->exists() ? RENAME_EXCHANGE : RENAME_NOREPLACE);
}

// Takes away what was put where nothing was, or what the app made of it.
Result<void> Transaction::take_out(const Step& step, size_t number) {
  auto kept = kept_of(step, number);
  if (!kept) return failure(kept.error());
  const auto name = base_name(step.path);
  const auto gone = std::to_string(number);
  auto is_done = has_name(gone_.borrow(), gone);
  if (!is_done) return failure(is_done.error());
  if (kept->inode != 0 || *is_done) return {};
  auto parent = parent_of(step.path);
  if (!parent) return failure(parent.error());
  auto there = identity_of(*parent, name);
  if (!there) return failure(there.error());
  if (!there->exists()) return {};
  return rename_to(*parent, name, gone_.borrow(), gone, RENAME_NOREPLACE);
}

// An owner without privilege cannot change the entries of a directory that it may not write.
Result<void> Transaction::unlock_directories() {
  if (::geteuid() == 0) return {};
  for (const auto& change : journal_.changes) {
    auto directory = open_beneath(sandbox_, change.path, O_PATH | O_NOFOLLOW);
    if (!directory) {
      if (directory.error().sys_errno == ENOENT) continue;
      return failure(directory.error());
    }
    if (auto unlocked = unlock(directory->borrow()); !unlocked) {
      return failure(at(unlocked.error(), change.path));
    }
  }
  return {};
}

// The deepest first: a directory may become one that leads nowhere for its owner.
Result<void> Transaction::change_all(bool forward) {
  for (auto change = journal_.changes.rbegin(); change != journal_.changes.rend(); ++change) {
    const auto wanted = forward ? change->after : std::optional(change->before);
    if (!wanted) continue;
    auto entry = open_beneath(sandbox_, change->path, O_PATH | O_NOFOLLOW);
    if (!entry) {
      if (entry.error().sys_errno == ENOENT) continue;  // the app's own code has removed it
      return failure(entry.error());
    }
    auto set = set_metadata(entry->borrow(), *wanted);
    if (!set) return failure(at(set.error(), change->path));
  }
  return {};
}

Result<BorrowedFd> Transaction::parent_of(const std::string& path) {
  const auto wanted = parent_name(path);
  if (wanted.empty()) return sandbox_;
  if (!parent_.directory.is_open() || parent_.path != wanted) {
    auto opened = make_directories(sandbox_, wanted, kPrivate);
    if (!opened) return failure(opened.error());
    parent_ = {wanted, std::move(*opened)};
  }
  return parent_.directory.borrow();
}

Result<BorrowedFd> Transaction::staged_parent_of(const std::string& path) {
  const auto wanted = parent_name(path);
  if (wanted.empty()) return stage_.borrow();
  if (!staged_parent_.directory.is_open() || staged_parent_.path != wanted) {
    auto opened = open_beneath(stage_.borrow(), wanted, O_RDONLY | O_DIRECTORY);
    if (!opened) return failure(opened.error());
    staged_parent_ = {wanted, std::move(*opened)};
  }
  return staged_parent_.directory.borrow();
}

Result<void> Transaction::remove() {
  for (UniqueFd* fd :
       {&parent_.directory, &staged_parent_.directory, &stage_, &gone_, &received_}) {
    fd->reset();
  }
  const char* over = keeps_directory_ ? kTrash : kCleared;
  auto named = rename_to(lock_.borrow(), kTransaction, lock_.borrow(), over, 0);
  if (!named) return failure(named.error().in("the transaction"));
  if (::fsync(lock_.get()) != 0) return errno_failure("sync of '.backup'");
  return leave_backup_directory(sandbox_, lock_.borrow());
}

// What the ways that a transaction can go have in common is in Transaction.
class Recovery {
 public:
  static Result<Recovered> run(BorrowedFd sandbox, UniqueFd lock, RecoveryPlan plan,
                               const Restored& restored) {
    auto is_there = has_name(lock.borrow(), kTransaction);
    if (!is_there) return failure(is_there.error());
    if (!*is_there) {
      if (auto left = leave_backup_directory(sandbox, lock.borrow()); !left) {
        return failure(left.error());
      }
      return Recovered::kNothing;
    }
    if (auto swept = sweep_backup_directory(lock.borrow()); !swept) {
      return failure(swept.error());
    }
    Transaction left(sandbox, std::move(lock));
    if (auto opened = left.open(); !opened) return failure(opened.error());
    return end(left, plan, restored);
  }

 private:
  static Result<Recovered> end(Transaction& left, RecoveryPlan plan, const Restored& restored) {
    auto is_undone = has_name(left.directory_.borrow(), kUndo);
    if (!is_undone) return failure(is_undone.error());
    if (*is_undone) return go_back(left);
    auto is_committed = has_name(left.directory_.borrow(), kJournal);
    if (!is_committed) return failure(is_committed.error());
    if (!*is_committed) {
      auto is_kept = plan.drops ? false : can_wait(left);
      if (!is_kept) return failure(is_kept.error());
      if (*is_kept) return Recovered::kKept;
      if (auto removed = left.remove(); !removed) return failure(removed.error());
      return Recovered::kDiscarded;
    }
    if (auto read = left.read(kJournal); !read) return failure(read.error());
    if (!plan.undoes) return go_on(left, restored);
    if (auto undone = left.undo(); !undone) return failure(undone.error());
    return Recovered::kUndone;
  }

  // Whether what was received is kept for the restore that goes on with it.
  static Result<bool> can_wait(const Transaction& left) {
    auto received = open_beneath(left.directory_.borrow(), kReceived, O_PATH | O_NOFOLLOW);
    if (!received && received.error().sys_errno == ENOENT) return false;
    if (!received) return failure(received.error());
    struct stat found{};
    if (::fstat(received->get(), &found) != 0) return errno_failure("'.backup'");
    return ::time(nullptr) - found.st_mtim.tv_sec < kKeptFor;
  }

  static Result<Recovered> go_back(Transaction& left) {
    if (auto read = left.read(kUndo); !read) return failure(read.error());
    if (auto undone = left.undo_all(); !undone) return failure(undone.error());
    if (auto removed = left.remove(); !removed) return failure(removed.error());
    return Recovered::kUndone;
  }

  static Result<Recovered> go_on(Transaction& left, const Restored& restored) {
    auto done = left.redo_all();
    if (done) done = restored(left.journal_.settings);
    // Whoever asked for it has gone: the next one goes on.
    if (!done && done.error().code == Code::kClosed) return failure(done.error());
    if (!done) {
      if (auto undone = left.undo(); !undone) return failure(undone.error());
      return Recovered::kUndone;
    }
    if (auto removed = left.remove(); !removed) return failure(removed.error());
    return Recovered::kCompleted;
  }
};

Result<Recovered> recover(BorrowedFd sandbox, RecoveryPlan plan, const Restored& restored) {
  auto lock = lock_backup_directory(sandbox, plan.waits);
  if (!lock) return failure(lock.error());
  if (!lock->is_open()) return Recovered::kNothing;
  return Recovery::run(sandbox, std::move(*lock), plan, restored);
}

std::string_view describe(Recovered recovered) {
  switch (recovered) {
    case Recovered::kDiscarded:
      return "an interrupted restore had not begun to change the data; it was dropped";
    case Recovered::kKept:
      return "an interrupted restore had not begun to change the data; what it has received waits "
             "for the next one";
    case Recovered::kCompleted:
      return "an interrupted restore was completed";
    case Recovered::kUndone:
      return "an interrupted restore was undone";
    default:
      return "";
  }
}

}  // namespace backupkit
