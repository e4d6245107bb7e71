// Whether this is built with a sanitizer. It reads its options in the environment, and looks for
// leaks from a process that it starts at the end.
#pragma once

namespace backupkit {

#if defined(BACKUPKIT_SANITIZED)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

}  // namespace backupkit
