// Children of the service that are no processes: a double of native/io/process.h, with which a
// fuzzer is linked in its place.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backupkit/unique_fd.h"

namespace backupkit {

struct FakeChild {
  std::string role;  // its first argument
  UniqueFd channel;  // its end; not open when it has ended
  UniqueFd ended;    // an eventfd: what the service takes for its pidfd
  int pidfd = -1;    // the number of the service's duplicate
  int status = 0;
};

// Those that were started and not reaped, in that order.
[[nodiscard]] std::vector<std::unique_ptr<FakeChild>>& fake_children();

// As if its process had exited. Ending it once more changes nothing.
void end_child(FakeChild& child, int status);

}  // namespace backupkit
