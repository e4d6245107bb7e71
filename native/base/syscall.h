// EINTR is not an answer: calls that may be interrupted go through retry().
#pragma once

#include <cerrno>

namespace backupkit {

// Calls `call` until it gives something else than -1 with EINTR. Not for close(2), which must
// never be repeated.
template <typename Call>
[[nodiscard]] auto retry(Call&& call) -> decltype(call()) {
  for (;;) {
    const auto answer = call();
    if (answer != -1 || errno != EINTR) return answer;
  }
}

}  // namespace backupkit
