// Why a path of a bundle is in its backup, or is not.
#pragma once

#include <string>
#include <string_view>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

// One sentence on `path`, which is inside the bundle's sandbox, with or without a `/` at its begin,
// and need not exist; one with a `/` at its end is a directory's. More lines say what else keeps it
// from being stored. Error kNotAdded: of read_bundle(); kInvalidArgument: a path that leads out.
[[nodiscard]] Result<std::string> explain(BorrowedFd root, const std::string& bundle,
                                          std::string_view path);

// backupd --explain ROOT BUNDLE PATH
int explain_main(int argc, char** argv);

}  // namespace backupkit
