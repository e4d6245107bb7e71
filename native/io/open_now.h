// The descriptors that are open.
#pragma once

#include <vector>

#include "backupkit/error.h"

namespace backupkit {

// Those of the calling thread's table, but for what others open in it meanwhile. Needs /proc.
[[nodiscard]] Result<std::vector<int>> open_now();

}  // namespace backupkit
