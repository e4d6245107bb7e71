// `.backup` in a sandbox: what our own files of a restore lie in, and the app's beside them, and
// who may work on them.
#pragma once

#include <string>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

inline constexpr const char* kBackupDirectory = ".backup";
// In it:
inline constexpr const char* kTransaction = "transaction";
inline constexpr const char* kTrash = "trash";      // what is over, while it is being removed
inline constexpr const char* kCleared = "cleared";  // the same, and all beside it is over, too

// An error is no answer: what cannot be seen may be there.
[[nodiscard]] Result<bool> has_name(BorrowedFd directory, const std::string& name);

// `.backup`, locked until it is closed; not open where it is not there or, unless `waits`, locked
// by somebody.
[[nodiscard]] Result<UniqueFd> lock_backup_directory(BorrowedFd sandbox, bool waits);

// `.backup`, made where it is missing, and locked as above. Waits.
[[nodiscard]] Result<UniqueFd> make_backup_directory(BorrowedFd sandbox);

// Removes what is over from `backup`, which is `.backup`; what is cleared never comes back in part.
[[nodiscard]] Result<void> sweep_backup_directory(BorrowedFd backup);

// The same, and removes `.backup` itself unless something is left in it.
[[nodiscard]] Result<void> leave_backup_directory(BorrowedFd sandbox, BorrowedFd backup);

// Removes all that is in `.backup` but a transaction, and `.backup` itself where there is none.
[[nodiscard]] Result<void> empty_backup_directory(BorrowedFd sandbox);

// Removes `.backup`, in which there is no transaction. False: somebody works in it.
[[nodiscard]] Result<bool> remove_backup_directory(BorrowedFd sandbox);

}  // namespace backupkit
