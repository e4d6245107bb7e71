// The restore of one bundle: receives its files, checks them all, then writes the sandbox.
#pragma once

#include "native/extension/hook.h"
#include "native/extension/link.h"
#include "native/extension/settings.h"
#include "native/extension/transaction.h"

namespace backupkit {

// Serves Handle and PublishFile until everything is published, verifies every file against
// manage.json before the first byte of the sandbox changes, and applies it. Error: the message
// names the file or entry. Error kClosed: the service has gone before the bundle was published;
// nothing was touched.
// Gives the transaction, which is to be finished when the result was told: whoever dies before has
// his restore undone, so that nobody has the new data with an error.
[[nodiscard]] Result<Transaction> restore(BorrowedFd sandbox, const Settings& settings, Hook& hook,
                                          Link& link);

}  // namespace backupkit
