// The descriptors that are open.
#pragma once

#include <vector>

namespace backupkit {

// Those of the calling thread's table, but for what others open in it meanwhile. Needs /proc.
[[nodiscard]] std::vector<int> open_now();

}  // namespace backupkit
