// The files that an extension hands to a client, looked at before they go on.
#pragma once

#include <sys/types.h>

#include <set>
#include <vector>

#include "backupkit/unique_fd.h"
#include "native/protocol/wire.h"

namespace backupkit {

// An extension runs with its app's rights, and may have been taken over. Asks no file system
// anything: one that does not answer would stop the service.
class Handover {
 public:
  explicit Handover(SessionKind kind) : kind_(kind) {}

  // Whether a client may get a file, and its manifest: regular ones that are open to be read only
  // in a backup, to be read and written in a restore, and not of those that the kernel makes up,
  // like /proc, where reading may block or have an effect.
  [[nodiscard]] bool is_good(const std::vector<UniqueFd>& files);

 private:
  [[nodiscard]] bool is_good(BorrowedFd file);
  [[nodiscard]] bool holds_files(dev_t device);

  SessionKind kind_;
  std::set<dev_t> good_;  // devices that hold files
};

}  // namespace backupkit
