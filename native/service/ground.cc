#include "native/service/ground.h"

#include <fcntl.h>
#include <sys/file.h>

#include <string>

#include "native/base/syscall.h"
#include "native/io/path.h"

namespace backupkit {

Result<UniqueFd> open_root(const std::string& path) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  UniqueFd root(retry([&] { return ::open(path.c_str(), kFlags); }));
  if (!root.is_open()) return errno_failure("device root '" + path + "'");
  return root;
}

Result<UniqueFd> lock_root(BorrowedFd root, const std::string& path) {
  auto folder = make_directories(root, "var/lib/backupkit", 0755);
  if (!folder) return failure(folder.error().in("below '" + path + "'"));
  UniqueFd lock(retry(
      [&] { return ::openat(folder->get(), "lock", O_RDWR | O_CREAT | O_CLOEXEC, mode_t{0600}); }));
  if (!lock.is_open()) return errno_failure("var/lib/backupkit/lock below '" + path + "'");
  if (retry([&] { return ::flock(lock.get(), LOCK_EX | LOCK_NB); }) != 0) {
    return failure(Code::kSessionConflict,
                   "another backup service serves '" + path + "': connect to it or stop it");
  }
  return lock;
}

}  // namespace backupkit
