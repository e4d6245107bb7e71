// The log of the service and its commands: one line on stderr for each failed operation, and more
// where it is asked for. Libraries and extensions never call it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

// The numbers are those of syslog(3).
enum class LogLevel : uint8_t { kError = 3, kWarning = 4, kInfo = 6, kDebug = 7 };

// The level called "error", "warning", "info" or "debug".
[[nodiscard]] std::optional<LogLevel> level_of(std::string_view name);

// Whether `stream` is what `journal_stream`, the text of $JOURNAL_STREAM or nullptr, says to be the
// connection to the journal: "device:inode" (systemd.exec(5)).
[[nodiscard]] bool is_journal(BorrowedFd stream, const char* journal_stream);

// Lines of `level` and what weighs more are written from now on, with their priorities where stderr
// is the journal. A private log's reader is also the service's one client. Call it before there are
// threads.
void open_log(LogLevel level, bool is_private);

// Whether lines of that level are written, where it is much work to make one.
[[nodiscard]] bool logs(LogLevel level);

// The level of a failure that a client is told, too: in a private log it is for information.
[[nodiscard]] LogLevel when_told(LogLevel level);

// The text of a line, "backupd: <line>\n", or "<N><line>\n" as sd-daemon(3) has it. Nothing in
// `line` ends it or reaches a terminal: control characters, bytes that are not UTF-8 and the
// backslash are \xNN. At most 2 KiB of it are left; "..." says that it was cut.
[[nodiscard]] std::string log_text(LogLevel level, bool has_priority, std::string_view line);

// Writes it with one write(2). A line that cannot be written without waiting is lost.
void log_line(LogLevel level, std::string_view line);

// Writes that `what` failed, with what code and why.
void log_failure(LogLevel level, std::string_view what, const Error& error);

}  // namespace backupkit
