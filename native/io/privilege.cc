#include "native/io/privilege.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>

namespace backupkit {

Result<void> keep_capabilities(uint64_t kept) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> sets{};  // the lower and the upper half
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return errno_failure("capabilities");
  for (auto& set : sets) {
    set.permitted &= static_cast<uint32_t>(kept);
    set.effective &= set.permitted;
    set.inheritable = 0;
    kept >>= 32U;
  }
  if (::syscall(SYS_capset, &header, sets.data()) != 0) return errno_failure("capabilities");
  return {};
}

Result<void> forbid_new_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno_failure("no new privileges");
  return {};
}

Result<void> forbid_core_dumps() {
  // Too little for any file; and a program that takes dumps by a pipe gets them with 0, but not
  // with 1.
  constexpr rlimit kNone{1, 1};
  if (::setrlimit(RLIMIT_CORE, &kNone) != 0) return errno_failure("no core dumps");
  return {};
}

}  // namespace backupkit
