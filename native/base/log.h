// The daemon's log: one line on stderr per failed operation. Libraries never call it.
#pragma once

#include <string_view>

namespace backupkit {

// Writes "backupd: <line>" as one write(2). A log that cannot be written is lost.
void log_line(std::string_view line);

}  // namespace backupkit
