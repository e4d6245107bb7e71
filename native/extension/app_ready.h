// What comes before the first entry of a backup: the app makes its data ready, and keeps still.
#pragma once

#include <string>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/extension/hook.h"
#include "native/extension/link.h"
#include "native/extension/settings.h"
#include "native/manifest/moves.h"

namespace backupkit {

// What the app says of the data that it has made ready.
struct AppReady {
  std::string report;  // for the caller
  Moves moves;         // what it wants to be stored under another path
};

// Asks the app, gives it the time that the caller allows, and freezes it where its settings say so.
// Errors: the hook's; those of chosen_moves() and effective_moves(); kClosed.
[[nodiscard]] Result<AppReady> make_app_ready(BorrowedFd sandbox, const Settings& settings,
                                              Hook& hook, Link& link);

}  // namespace backupkit
