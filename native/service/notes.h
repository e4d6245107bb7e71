// What a service that dies leaves to the next one: a file for each bundle below var/lib/backupkit.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

enum class Note : uint8_t {
  kRestore,  // restores/<bundle>: from before its extension starts until nothing of it is left
  kFrozen,   // frozen/<bundle>: from before its app is frozen until it is thawed
};

// A note survives a power cut.
[[nodiscard]] Result<void> note(BorrowedFd root, Note what, const std::string& bundle);
void forget(BorrowedFd root, Note what, const std::string& bundle);
[[nodiscard]] Result<std::vector<std::string>> noted(BorrowedFd root, Note what);

}  // namespace backupkit
