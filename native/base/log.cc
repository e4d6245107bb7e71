#include "native/base/log.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "native/base/syscall.h"
#include "native/base/utf8.h"

namespace backupkit {
namespace {

// With its frame below PIPE_BUF: lines of several processes do not mix in a pipe.
constexpr size_t kMaxLine = 2048;
constexpr std::string_view kCut = "...";

constexpr std::array kNames = {std::pair{std::string_view("error"), LogLevel::kError},
                               std::pair{std::string_view("warning"), LogLevel::kWarning},
                               std::pair{std::string_view("info"), LogLevel::kInfo},
                               std::pair{std::string_view("debug"), LogLevel::kDebug}};

// Written by open_log() alone.
struct {
  LogLevel level = LogLevel::kWarning;
  bool has_priorities = false;
  bool is_private = false;
} log_state;

// The length of what stands for itself at `i`, or 0 where that byte has to be escaped.
size_t plain_length(std::string_view text, size_t i) {
  const auto first = static_cast<uint8_t>(text[i]);
  if (first < 0x20 || first == 0x7F || first == '\\') return 0;
  const size_t length = utf8_length(text, i);
  // U+0080 to U+009F, which terminals obey like ESC and a letter.
  const bool is_control = first == 0xC2 && length == 2 && static_cast<uint8_t>(text[i + 1]) < 0xA0;
  return is_control ? 0 : length;
}

std::string escaped(char byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const auto value = static_cast<uint8_t>(byte);
  return {'\\', 'x', kDigits[value >> 4U], kDigits[value & 0xFU]};
}

void append_escaped(std::string& text, std::string_view line) {
  const size_t end = text.size() + kMaxLine;
  size_t last = text.size();  // where "..." still fits
  for (size_t i = 0; i < line.size();) {
    const size_t length = plain_length(line, i);
    const auto piece = length == 0 ? escaped(line[i]) : std::string(line.substr(i, length));
    if (text.size() + piece.size() > end) {
      text.resize(last);
      text += kCut;
      return;
    }
    text += piece;
    if (text.size() + kCut.size() <= end) last = text.size();
    i += length == 0 ? 1 : length;
  }
}

bool has_room(BorrowedFd stream) {
  pollfd writable{stream.get(), POLLOUT, 0};
  return retry([&] { return ::poll(&writable, 1, 0); }) == 1;
}

}  // namespace

std::optional<LogLevel> level_of(std::string_view name) {
  for (const auto& [known, level] : kNames) {
    if (name == known) return level;
  }
  return std::nullopt;
}

bool is_journal(BorrowedFd stream, const char* journal_stream) {
  struct stat found{};
  if (journal_stream == nullptr || ::fstat(stream.get(), &found) != 0) return false;
  return std::to_string(found.st_dev) + ":" + std::to_string(found.st_ino) == journal_stream;
}

void open_log(LogLevel level, bool is_private) {
  const char* journal = std::getenv("JOURNAL_STREAM");  // NOLINT(concurrency-mt-unsafe): one thread
  log_state = {level, is_journal(BorrowedFd(STDERR_FILENO), journal), is_private};
}

bool logs(LogLevel level) { return level <= log_state.level; }

LogLevel when_told(LogLevel level) { return log_state.is_private ? LogLevel::kInfo : level; }

std::string log_text(LogLevel level, bool has_priority, std::string_view line) {
  std::string text =
      has_priority ? "<" + std::to_string(static_cast<unsigned>(level)) + ">" : "backupd: ";
  append_escaped(text, line);
  return text + "\n";
}

void log_line(LogLevel level, std::string_view line) {
  if (!logs(level)) return;
  const auto text = log_text(level, log_state.has_priorities, line);
  // There is nowhere left to report that the log itself failed.
  if (!has_room(BorrowedFd(STDERR_FILENO))) return;
  (void)retry([&] { return ::write(STDERR_FILENO, text.data(), text.size()); });
}

void log_failure(LogLevel level, std::string_view what, const Error& error) {
  if (!logs(level)) return;
  log_line(level, std::string(what) + " failed with " +
                      std::to_string(static_cast<int32_t>(error.code)) + ": " + error.message());
}

}  // namespace backupkit
