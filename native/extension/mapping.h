// compatibleDirMapping: the app says at a backup which of its directories are stored under other
// paths, of those that its bundle file lists.
//   result = { "compatibleDirMapping": [ *restoreDir ], ... }      of onBackup or onBackupEx
#pragma once

#include <string>
#include <vector>

#include "backupkit/error.h"
#include "native/manifest/moves.h"

namespace backupkit {

// What of `mapping` the app has chosen by its result; nothing by one that is something else. Error
// kExtensionThrew: what is chosen is not in `mapping`, or cannot be done.
[[nodiscard]] Result<std::vector<Move>> chosen_moves(const std::string& result,
                                                     const std::vector<Move>& mapping);

}  // namespace backupkit
