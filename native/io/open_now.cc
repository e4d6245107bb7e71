#include "native/io/open_now.h"

#include <dirent.h>

#include <cerrno>
#include <charconv>
#include <string_view>
#include <vector>

namespace backupkit {
namespace {

constexpr const char* kTable = "/proc/thread-self/fd";

}  // namespace

Result<std::vector<int>> open_now() {
  DIR* directory = ::opendir(kTable);
  if (directory == nullptr) return errno_failure(kTable);
  std::vector<int> found;
  errno = 0;
  while (const dirent* entry = ::readdir(directory)) {  // NOLINT(concurrency-mt-unsafe): it is ours
    const std::string_view name = static_cast<const char*>(entry->d_name);
    int number = -1;
    std::from_chars(name.data(), name.data() + name.size(), number);
    if (number >= 0) found.push_back(number);
  }
  const int error = errno;
  (void)::closedir(directory);  // it has only been read
  if (error != 0) return failure(Error::from_errno(error, kTable));
  return found;
}

}  // namespace backupkit
