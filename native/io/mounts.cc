#include "native/io/mounts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/base/syscall.h"
#include "native/io/tmpfile.h"

namespace backupkit {
namespace {

constexpr const char* kTable = "/proc/self/mountinfo";
constexpr size_t kMaxTable = size_t{64} << 20U;
constexpr size_t kDeviceColumn = 2;
constexpr size_t kPlaceColumn = 4;
constexpr std::string_view kEndOfOptions = " - ";  // behind it is the type

bool is_octal(char digit) { return digit >= '0' && digit <= '7'; }

// Space, tab, newline and backslash are written as a backslash and three octal digits.
std::string unescaped(std::string_view text) {
  std::string plain;
  for (size_t at = 0; at < text.size(); ++at) {
    const auto code = text.substr(at + 1, 3);
    if (text[at] != '\\' || code.size() != 3 || !std::ranges::all_of(code, is_octal)) {
      plain += text[at];
      continue;
    }
    plain += static_cast<char>(((code[0] - '0') << 6) + ((code[1] - '0') << 3) + (code[2] - '0'));
    at += code.size();
  }
  return plain;
}

// The column of a line, counted from 0; empty where there are not so many.
std::string_view column(std::string_view line, size_t number) {
  for (; number > 0; --number) line.remove_prefix(std::min(line.size(), line.find(' ') + 1));
  return line.substr(0, line.find(' '));
}

Result<std::string> read_table() {
  const UniqueFd table(retry([] { return ::open(kTable, O_RDONLY | O_CLOEXEC); }));
  if (!table.is_open()) return errno_failure(kTable);
  auto bytes = read_file(table.borrow(), kMaxTable);
  if (!bytes) return failure(bytes.error().in(kTable));
  return std::string(bytes->begin(), bytes->end());
}

// Takes the first line off.
std::string_view next_line(std::string_view& text) {
  const auto line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  return line;
}

}  // namespace

Result<std::vector<std::string>> mounts_below(BorrowedFd directory) {
  std::array<char, PATH_MAX> path{};
  const auto self = "/proc/self/fd/" + std::to_string(directory.get());
  const auto length = ::readlink(self.c_str(), path.data(), path.size());
  if (length < 0) return errno_failure(self);
  std::string above(path.data(), static_cast<size_t>(length));
  if (above != "/") above += '/';
  const auto table = read_table();
  if (!table) return failure(table.error());
  std::vector<std::string> mounts;
  for (std::string_view text = *table; !text.empty();) {
    const auto line = next_line(text);
    auto place = unescaped(column(line, kPlaceColumn));
    if (place.size() > above.size() && place.starts_with(above)) {
      mounts.push_back(place.substr(above.size()));
    }
  }
  return mounts;
}

Result<std::string> type_of_mounted(dev_t device) {
  const auto table = read_table();
  if (!table) return failure(table.error());
  const auto wanted = std::to_string(major(device)) + ":" + std::to_string(minor(device));
  for (std::string_view text = *table; !text.empty();) {
    const auto line = next_line(text);
    const auto end = line.find(kEndOfOptions);
    if (column(line, kDeviceColumn) != wanted || end == std::string_view::npos) continue;
    return std::string(column(line.substr(end + kEndOfOptions.size()), 0));
  }
  return std::string();
}

Result<bool> is_mount(BorrowedFd directory) {
  struct statx found{};
  if (::statx(directory.get(), "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_TYPE, &found) != 0) {
    return errno_failure("look at a directory");
  }
  if ((found.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0) {
    return (found.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  }
  // Linux before 5.8: only one of another file system tells itself.
  struct stat above{};
  if (::fstatat(directory.get(), "..", &above, 0) != 0) return errno_failure("look above");
  struct stat here{};
  if (::fstat(directory.get(), &here) != 0) return errno_failure("look at a directory");
  return above.st_dev != here.st_dev;
}

}  // namespace backupkit
