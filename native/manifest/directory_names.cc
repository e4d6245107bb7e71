#include "native/manifest/directory_names.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/base/syscall.h"

namespace backupkit {
namespace {

bool kinds_unknown = false;

bool is_dots(std::string_view name) { return name == "." || name == ".."; }

}  // namespace

Result<void> each_name(BorrowedFd directory, std::span<char> buffer,
                       const std::function<bool(DirectoryName)>& take) {
  for (;;) {
    // Its records are a dirent's of 64-bit offsets. Not every C library has the call.
    const auto got = retry(
        [&] { return ::syscall(SYS_getdents64, directory.get(), buffer.data(), buffer.size()); });
    if (got < 0) return errno_failure("reading a directory");
    if (got == 0) return {};
    for (size_t at = 0; at < static_cast<size_t>(got);) {
      const char* record = buffer.data() + at;
      uint16_t length = 0;  // copied out: the records are not aligned for everybody
      std::memcpy(&length, record + offsetof(dirent, d_reclen), sizeof(length));
      const char* name = record + offsetof(dirent, d_name);
      const auto kind = static_cast<unsigned char>(record[offsetof(dirent, d_type)]);
      at += length;
      if (is_dots(name)) continue;
      if (!take({name, kinds_unknown ? uint8_t{DT_UNKNOWN} : kind})) return {};
    }
  }
}

Result<std::vector<DirectoryName>> read_names(BorrowedFd directory, std::span<char> buffer) {
  std::vector<DirectoryName> names;
  const auto read = each_name(directory, buffer, [&](DirectoryName name) {
    names.push_back(std::move(name));
    return true;
  });
  if (!read) return failure(read.error());
  settle_names(names);
  return names;
}

void settle_names(std::vector<DirectoryName>& names) {
  std::ranges::sort(names, {}, &DirectoryName::text);
  const auto again = std::ranges::unique(names, {}, &DirectoryName::text);
  names.erase(again.begin(), again.end());
}

void force_unknown_kinds(bool force) { kinds_unknown = force; }

}  // namespace backupkit
