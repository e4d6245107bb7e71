// Relative paths below a held directory, which no symbolic link and no ".." leaves, also while the
// tree is changed by others.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

// Error kInvalidArgument: `path` is empty, begins with '/', holds a NUL, or has a component "..".
[[nodiscard]] Result<void> check_relative(std::string_view path);

// The last component of a path, and what is before it; "" for the top.
[[nodiscard]] std::string base_name(const std::string& path);
[[nodiscard]] std::string parent_name(const std::string& path);

// Opens `path` below `root`; no component of it may be a symbolic link (ELOOP or ENOTDIR), and the
// last one only with O_PATH|O_NOFOLLOW. "." is the root itself. Paths of any length. `flags` are
// those of open(2), O_CLOEXEC is added. Errors as check_relative(), or with the errno of
// openat2(2).
[[nodiscard]] Result<UniqueFd> open_beneath(BorrowedFd root, std::string_view path, int flags,
                                            mode_t mode = 0);

// Makes those directories of `path` that are missing and gives the last one, opened to read.
// Error ELOOP or ENOTDIR: something in the way is not a directory.
[[nodiscard]] Result<UniqueFd> make_directories(BorrowedFd root, std::string_view path,
                                                mode_t mode);

// Removes `name` in `parent` and everything below it, at any depth. Symbolic links are removed, not
// followed. That it is not there is success. At the first error it stops; what is mounted somewhere
// below is one, EBUSY, and stays whole.
[[nodiscard]] Result<void> remove_tree(BorrowedFd parent, const std::string& name);

// For tests: walk component by component as if the kernel had no openat2.
void force_component_walk(bool force);

}  // namespace backupkit
