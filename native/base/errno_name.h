// What an errno is called.
#pragma once

#include <string>

namespace backupkit {

// The name ("ENOSPC"), or the number where the C library tells no name.
[[nodiscard]] std::string errno_name(int number);

}  // namespace backupkit
