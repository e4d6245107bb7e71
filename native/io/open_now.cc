#include "native/io/open_now.h"

#include <dirent.h>

#include <charconv>
#include <string_view>
#include <vector>

namespace backupkit {

std::vector<int> open_now() {
  std::vector<int> found;
  DIR* directory = ::opendir("/proc/thread-self/fd");
  if (directory == nullptr) return found;
  while (const dirent* entry = ::readdir(directory)) {  // NOLINT(concurrency-mt-unsafe): it is ours
    const std::string_view name = static_cast<const char*>(entry->d_name);
    int number = -1;
    std::from_chars(name.data(), name.data() + name.size(), number);
    if (number >= 0) found.push_back(number);
  }
  (void)::closedir(directory);  // it has only been read
  return found;
}

}  // namespace backupkit
