// Files that have no name, and files that can no longer change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/base/bytes.h"

namespace backupkit {

// A new empty file on the file system of `directory`, mode 0600, open to read and write. The kernel
// removes it with its last descriptor. Where the file system has no O_TMPFILE it has a name for an
// instant, and link count 0 and no way back into the tree afterwards.
[[nodiscard]] Result<UniqueFd> unnamed_file(BorrowedFd directory);

// For tests: as if no file system had O_TMPFILE.
void force_named_files(bool force);

// The same file, opened anew: read-only, at offset 0. Needs /proc.
[[nodiscard]] Result<UniqueFd> reopen_readonly(BorrowedFd file);

// `bytes` in memory, sealed against every change, open read-only at offset 0. `name` is for
// debugging only.
[[nodiscard]] Result<UniqueFd> sealed_memfd(const char* name, std::span<const uint8_t> bytes);

// The contents of a memfd somebody else made. Error kInvalidArgument: it is not sealed against
// writing and resizing, or it is longer than `limit`. Its position is neither used nor moved.
[[nodiscard]] Result<Bytes> read_sealed(BorrowedFd file, size_t limit);

// A whole file from its start to where it ends. Error kInvalidArgument: longer than `limit`. Its
// position is neither used nor moved. Works on /proc files, whose size reads as 0.
[[nodiscard]] Result<Bytes> read_file(BorrowedFd file, size_t limit);

enum class Writers : uint8_t { kNone, kSome, kUnknown };

// Who has the file of `readonly` open to write, us included; tells by a read lease, which is given
// back at once. Unknown where leases do not exist or are not ours to take (foreign owner without
// CAP_LEASE). Sets SIGIO of the process to ignored where it had its default action, which kills.
[[nodiscard]] Result<Writers> writers_of(BorrowedFd readonly);

// Gives an unnamed file that came from elsewhere the name `path`, where nothing is, and makes it
// ours, mode 0600, so that nobody can open it to write. False, and nothing is at `path`: it cannot
// be had like this (it has a name, a writer, or another file system; we may not own it), but be
// copied.
[[nodiscard]] Result<bool> give_name(BorrowedFd readonly, const std::string& path);

}  // namespace backupkit
