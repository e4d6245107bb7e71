// The backup of one bundle: lets the app prepare its data, walks its sandbox, packs what is small,
// passes what is big.
#pragma once

#include "native/extension/hook.h"
#include "native/extension/link.h"
#include "native/extension/settings.h"

namespace backupkit {

// Sends every part, every big file, manage.json and the report. `sandbox` is the bundle's top
// directory. An incremental one leaves out what is as `old_manifest`, which may be none, has it,
// and hands out a manifest with each file. Error: the backup is not complete; the message says why
// and names the entry. Error kClosed: the service has gone.
[[nodiscard]] Result<void> back_up(BorrowedFd sandbox, const Settings& settings,
                                   UniqueFd old_manifest, Hook& hook, Link& link);

}  // namespace backupkit
