#include "native/extension/confinement.h"

#include <fcntl.h>

#include <cstdint>
#include <optional>

#include "native/base/sanitized.h"
#include "native/base/syscall.h"
#include "native/io/landlock.h"
#include "native/io/privilege.h"
#include "native/io/process.h"
#include "native/io/seccomp.h"

namespace backupkit {
namespace {

// Another owner's files and attributes, and leases on them.
constexpr uint64_t kForFiles = capability::kChown | capability::kDacOverride |
                               capability::kDacReadSearch | capability::kFowner |
                               capability::kFsetid | capability::kLease | capability::kMacAdmin |
                               capability::kSetfcap | capability::kSysAdmin;

Result<void> keep_paths(BorrowedFd sandbox) {
  auto landlock = Landlock::make(Landlock::Network::kGivenUp);
  if (!landlock) return failure(landlock.error());
  if (auto kept = landlock->keep(sandbox, kRead | kWrite); !kept) return kept;
  // The table of its mounts. What is below /proc may be made anew under its name when nobody has it
  // open, and would not be what was kept.
  UniqueFd self(retry([] { return ::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC); }));
  if (!self.is_open()) return errno_failure("/proc/self");
  if (auto kept = landlock->keep(self.borrow(), kRead); !kept) return kept;
  (void)self.release();  // until the process ends
  return landlock->enforce();
}

}  // namespace

Result<void> drop_privileges(const std::optional<User>& user) {
  if (user) {
    if (auto dropped = become(user->uid, user->gid); !dropped) return dropped;
  }
  if (auto forbidden = forbid_core_dumps(); !forbidden) return forbidden;
  return forbid_new_privileges();
}

Result<void> confine_to(BorrowedFd sandbox, bool restores) {
  const auto kept = kForFiles | (restores ? capability::kMknod : 0);
  if (auto limited = keep_capabilities(kept); !limited) return limited;
  if (auto left = keep_paths(sandbox); !left) return left;
  if (kSanitized) return {};  // it needs another process at the end
  return allow_only(Calls::kOfOneProcess);
}

}  // namespace backupkit
