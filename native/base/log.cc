#include "native/base/log.h"

#include <unistd.h>

#include <string>
#include <string_view>

#include "native/base/syscall.h"

namespace backupkit {

void log_line(std::string_view line) {
  const std::string text = "backupd: " + std::string(line) + "\n";
  // There is nowhere left to report that the log itself failed.
  (void)retry([&] { return ::write(STDERR_FILENO, text.data(), text.size()); });
}

}  // namespace backupkit
