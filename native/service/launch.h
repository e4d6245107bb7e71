// Starts the extension of a bundle, and the app's hook program beside it.
#pragma once

#include <functional>
#include <memory>
#include <set>
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
  // Bundles with an extension that was killed and has not ended; none: nobody keeps them.
  std::set<std::string>* stuck = nullptr;
};

// Error kNotPermitted: the bundle is of another user and the service has no privilege; kTimedOut:
// it is one of those that are stuck.
[[nodiscard]] Result<Launch> launch(Loop& loop, LaunchPlan plan, Worker::Handlers handlers,
                                    std::function<void()> hook_exit);

// The bundle is stuck, as its `extension` that was killed does not end, until it does.
void note_stuck(std::set<std::string>& stuck, const std::string& bundle, Worker& extension);

}  // namespace backupkit
