// What an extension's process gives up before it works for a bundle: beside its channel nothing is
// left to it but the bundle's sandbox.
#pragma once

#include <optional>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/io/sandbox.h"

namespace backupkit {

// Before anything of the bundle is looked at. Becomes that user, if there is one.
[[nodiscard]] Result<void> drop_privileges(const std::optional<User>& user);

// Before any thread is started. By path nothing is reached from now on but the sandbox, which may
// be read and written; nothing is executed and no other process is reached. Capabilities are kept
// for files only, and to make devices where it `restores`. What the kernel lacks of Landlock and
// seccomp(2) is left out.
[[nodiscard]] Result<void> confine_to(BorrowedFd sandbox, bool restores);

}  // namespace backupkit
