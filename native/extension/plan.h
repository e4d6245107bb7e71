// What a restore has to do to the sandbox: the difference between it and the stage.
#pragma once

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/extension/journal.h"
#include "native/extension/stage.h"
#include "native/manifest/rules.h"

namespace backupkit {

// The steps and changes that put what `staged` knows into the sandbox: where both have a directory,
// what is in it is compared; everything else in the stage comes as a whole. Sidecars of databases
// that do not come themselves go: they belong to the old content. With `mirrored`, so does what
// those rules take and the stage does not have. `stage` is the directory behind `staged`. Error
// kNotPermitted: a file system is mounted inside the sandbox, into which nothing can be renamed.
[[nodiscard]] Result<Journal> plan(BorrowedFd sandbox, BorrowedFd stage, const Stage& staged,
                                   const Rules* mirrored);

}  // namespace backupkit
