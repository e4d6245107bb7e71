#include "native/io/sandbox.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "native/base/syscall.h"

namespace backupkit {

Result<UniqueFd> open_sandbox(BorrowedFd root, const std::string& path) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  UniqueFd sandbox(retry([&] { return ::openat(root.get(), path.c_str(), kFlags); }));
  if (!sandbox.is_open()) return errno_failure("sandbox '" + path + "'");
  return sandbox;
}

Result<User> user_of(BorrowedFd sandbox, const SandboxPlace& place) {
  struct stat found{};
  if (::fstat(sandbox.get(), &found) != 0) return errno_failure("sandbox '" + place.path + "'");
  const User user{place.uid.value_or(found.st_uid), place.gid.value_or(found.st_gid)};
  if (::geteuid() != 0 && user.uid != ::geteuid()) {
    return failure(Code::kNotPermitted, "sandbox '" + place.path + "' belongs to uid " +
                                            std::to_string(user.uid) +
                                            "; only a service that runs as root can serve it");
  }
  return user;
}

}  // namespace backupkit
