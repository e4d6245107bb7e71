// Walks a sandbox some of whose directories are stored under other paths.
#pragma once

#include <cstddef>
#include <vector>

#include "native/manifest/moves.h"
#include "native/manifest/scan.h"

namespace backupkit {

// Those of the moves that have something to do: the directory is there, and `rules` reach it. Error
// kInvalidArgument: it is no directory.
[[nodiscard]] Result<Moves> effective_moves(BorrowedFd root, const Rules& rules,
                                            std::vector<Move> moves);

// As scan(), with all that a move takes away visited where it goes: each path is the one that the
// entry is stored under, and the walk is in the order of these. The rules judge the paths that the
// entries have. Of the directories above where a move goes those are visited that are stored
// anyway. Error kInvalidArgument: something else is stored where a move goes, or above it and is no
// directory that can be read.
[[nodiscard]] Result<void> scan_moved(BorrowedFd root, const Rules& rules, const Moves& moves,
                                      const ScanHandlers& handlers, size_t helpers = 0);

}  // namespace backupkit
