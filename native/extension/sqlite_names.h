// How the files of an SQLite database are known (sqlite.org/fileformat2.html, tempfiles.html).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

// What stands behind a database's name in those of the files beside it.
inline constexpr std::array<std::string_view, 3> kSqliteSuffixes{"-journal", "-shm", "-wal"};

// True for a name that a file beside a database may have.
[[nodiscard]] bool is_sqlite_sidecar(std::string_view path);

// What a database begins with.
inline constexpr std::string_view kSqliteMagic("SQLite format 3\0", 16);

// Whether a database begins at that place in `file`.
[[nodiscard]] Result<bool> has_sqlite_database(BorrowedFd file, uint64_t offset);

}  // namespace backupkit
