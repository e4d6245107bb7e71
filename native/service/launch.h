// Starts the extension of a bundle, and the app's hook program beside it.
#pragma once

#include <memory>
#include <string>

#include "native/service/catalog.h"
#include "native/service/hook_process.h"
#include "native/service/worker.h"

namespace backupkit {

struct Launch {
  std::unique_ptr<HookProcess> hook;  // none where the bundle has no hook program
  std::unique_ptr<Worker> extension;
};

struct LaunchPlan {
  SessionKind kind = SessionKind::kBackup;
  const Bundle& bundle;
  BorrowedFd root;
  std::string settings;  // JSON, as native/extension/settings.h has it
  uint32_t window = 0;
  UniqueFd manifest;  // the old one, or none
};

// Error kNotPermitted: the bundle is of another user and the service has no privilege.
[[nodiscard]] Result<Launch> launch(Loop& loop, LaunchPlan plan, Worker::Handlers handlers,
                                    std::function<void()> hook_exit);

}  // namespace backupkit
