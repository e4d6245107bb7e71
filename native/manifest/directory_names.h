// The names in a directory.
#pragma once

#include <dirent.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

struct DirectoryName {
  std::string text;
  unsigned char kind = DT_UNKNOWN;  // d_type: what is unknown has to be looked at
};

// Gives `take` the names in `directory` but "." and "..", as they come, from its position on, until
// it says false. One that is removed and made anew meanwhile may come twice (readdir(3)). `buffer`
// is for the kernel's records.
[[nodiscard]] Result<void> each_name(BorrowedFd directory, std::span<char> buffer,
                                     const std::function<bool(DirectoryName)>& take);

// The same names in byte order, each once.
[[nodiscard]] Result<std::vector<DirectoryName>> read_names(BorrowedFd directory,
                                                            std::span<char> buffer);

// Puts names into that order, and leaves out what is there again.
void settle_names(std::vector<DirectoryName>& names);

// For tests: as on a file system that keeps no kinds in its directories.
void force_unknown_kinds(bool force);

}  // namespace backupkit
