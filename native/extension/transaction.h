// A restore that happens wholly or not at all, whatever kills it and whenever.
//
// What it needs lies in the sandbox itself, on the same file system:
//
//   .backup/transaction/new/<path>     what comes, staged under the path that it will have
//   .backup/transaction/gone/<number>  what has gone from a place where nothing came
//   .backup/transaction/journal        all steps and changes, from the commit on (journal.h)
//   .backup/transaction/undo           the same file, renamed, from the decision to go back on
//   .backup/transaction/received/<uri> what has come of the backup, if the restore can be resumed
//   .backup/transaction/identity       which restore the stage is of, likewise
//   .backup/trash                      a transaction that is over, while it is being removed
//   .backup/cleared                    the same of one that keeps nothing of the app's in `.backup`
//
// A step is one rename: with RENAME_EXCHANGE where something comes and something goes, so that the
// old entry waits in the place of the new one, and with RENAME_NOREPLACE where only one of both
// happens. A directory that was not there comes whole, in one step.
//
// Why it is right. Let a crash keep any subset of the renames since the last sync, each whole or
// not at all; more is not asked of the file system.
//
//   1 staging    Nothing outside `.backup` changes. No journal: the transaction is dropped, or left
//                for the next restore if it can be resumed. That one believes nothing of it: what
//                was received is compared with what comes, and an entry of the stage stays only if
//                the stage is of the same restore and the entry is what it would be made as.
//   2 commit     The staged entries and the journal's text are synced, then the journal gets its
//                name, and the directory is synced: from here on it can be completed from what is
//                on the disk. Only then the first step is taken.
//   3 steps      No step is below another one's path, so each is possible whichever others have
//                happened. Whether one has happened is read from inodes alone: one with `new` has
//                exactly when the entry below `new` is another one or none, one without when `gone`
//                has its entry. So they can be repeated from every subset. A change says both
//                states and is repeated likewise.
//   4 over       Everything is synced, then the transaction becomes trash, and that is synced
//                before anything in it is removed: what steps 3 and 5 read is whole as long as the
//                journal can be found. Its new name says whether all else in `.backup` goes, too;
//                whoever comes next ends that before he does anything else.
//   5 undo       The journal becomes `undo`, and that is synced before the first step back: never
//                are steps of both directions open. A step back puts the old inode to its place
//                wherever it is, so it too can be repeated from every subset. Then as 4.
//
// The app's own code runs between 3 and 4: after a crash there it runs again, and if it fails the
// restore is undone. Recovery goes on in the direction that the journal's name says. Who works on a
// transaction holds a lock, which the kernel drops with its process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/extension/journal.h"

namespace backupkit {

struct TransactionOptions {
  // It goes on with what an interrupted one has left, and leaves its own to the next one; else
  // nothing is in the stage.
  bool is_resumable = false;
  // What the app has in `.backup` outlasts it, and so does what it has put there for the app.
  bool keeps_directory = false;
};

// Not thread-safe. Dropping one that is neither finished nor undone leaves it to recover().
class Transaction {
 public:
  // Waits for the sandbox's lock. Call recover() before.
  [[nodiscard]] static Result<Transaction> begin(BorrowedFd sandbox,
                                                 TransactionOptions options = {});

  // The directory in which the new entries are made. They get no name elsewhere before commit().
  [[nodiscard]] BorrowedFd stage() const { return stage_.borrow(); }

  // For what is received; not open where the transaction is not resumable.
  [[nodiscard]] BorrowedFd received() const { return received_.borrow(); }
  // There is something of an interrupted one.
  [[nodiscard]] bool is_resumed() const { return is_resumed_; }
  // Says which restore the stage will be of, and empties it if it was of another one.
  [[nodiscard]] Result<void> identify(const std::string& identity);

  // Makes the new state the one of the sandbox, durably. Error: the step that failed; the old state
  // is there again, unless the message says that this failed too: then recover() tries again.
  [[nodiscard]] Result<void> commit(const Journal& journal);

  // The new state stays; there is no way back any more.
  [[nodiscard]] Result<void> finish();

  // The old state is there again; also before commit().
  [[nodiscard]] Result<void> undo();

 private:
  friend class Recovery;
  Transaction(BorrowedFd sandbox, UniqueFd lock) : sandbox_(sandbox), lock_(std::move(lock)) {}

  // The directory that was opened last below another one; the next path is mostly in it, too.
  struct Held {
    std::string path;
    UniqueFd directory;
  };

  struct Kept {
    BorrowedFd directory;
    std::string name;
    uint64_t inode = 0;
  };

  [[nodiscard]] Result<void> open();
  [[nodiscard]] Result<void> open_received();
  [[nodiscard]] Result<bool> may_resume();
  [[nodiscard]] Result<void> read(const char* name);
  [[nodiscard]] Result<void> redo_all();
  [[nodiscard]] Result<void> undo_all();
  [[nodiscard]] Result<void> redo(const Step& step, size_t number);
  [[nodiscard]] Result<Kept> kept_of(const Step& step, size_t number);
  [[nodiscard]] Result<void> bring_back(const Step& step, size_t number);
  [[nodiscard]] Result<void> take_out(const Step& step, size_t number);
  [[nodiscard]] Result<void> unlock_directories();
  [[nodiscard]] Result<void> change_all(bool forward);
  [[nodiscard]] Result<BorrowedFd> parent_of(const std::string& path);
  [[nodiscard]] Result<BorrowedFd> staged_parent_of(const std::string& path);
  [[nodiscard]] Result<void> remove();

  BorrowedFd sandbox_;
  UniqueFd lock_;       // `.backup`, locked
  UniqueFd directory_;  // `.backup/transaction`
  UniqueFd stage_;
  UniqueFd gone_;
  UniqueFd received_;
  bool is_resumed_ = false;
  bool keeps_directory_ = true;  // of one that was left, its journal knows better
  Journal journal_;
  Held parent_;
  Held staged_parent_;
};

enum class Recovered {
  kNothing,    // there was no transaction, or somebody works on it
  kDiscarded,  // it had not been committed
  kKept,       // nor had this one, which can be resumed
  kCompleted,
  kUndone,
};

// Ends what a killed process has left in the sandbox. `restored` runs the app's own code on the new
// data, with the settings of the restore; if it fails, the old data come back. Error kClosed: so it
// did; everything is left as it is.
using Restored = std::function<Result<void>(const std::string& settings)>;
struct RecoveryPlan {
  bool waits = false;   // until whoever works on the transaction has ended
  bool undoes = false;  // also what is committed
  bool drops = false;   // also what can be resumed
};
[[nodiscard]] Result<Recovered> recover(BorrowedFd sandbox, RecoveryPlan plan,
                                        const Restored& restored);

// For a person: "", or what has become of the restore.
[[nodiscard]] std::string_view describe(Recovered recovered);

}  // namespace backupkit
