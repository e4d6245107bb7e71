// `.backup` in a sandbox: what our own files of a restore lie in, and who may work on them.
#pragma once

#include <string>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

inline constexpr const char* kBackupDirectory = ".backup";
// In it:
inline constexpr const char* kTransaction = "transaction";
inline constexpr const char* kTrash = "trash";

// An error is no answer: what cannot be seen may be there.
[[nodiscard]] Result<bool> has_name(BorrowedFd directory, const std::string& name);

// `.backup`, locked until it is closed; not open where it is not there or, unless `waits`, locked
// by somebody.
[[nodiscard]] Result<UniqueFd> lock_backup_directory(BorrowedFd sandbox, bool waits);

// `.backup`, made where it is missing, and locked as above. Waits.
[[nodiscard]] Result<UniqueFd> make_backup_directory(BorrowedFd sandbox);

// Removes what lies in `backup`, which is `.backup`, of transactions that are over, and `.backup`
// itself unless the app has something in it.
[[nodiscard]] Result<void> clear_backup_directory(BorrowedFd sandbox, BorrowedFd backup);

// Removes `.backup`, in which there is no transaction. False: somebody works in it.
[[nodiscard]] Result<bool> remove_backup_directory(BorrowedFd sandbox);

}  // namespace backupkit
