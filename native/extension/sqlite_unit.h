// An SQLite database with the files beside it, as they were at one time.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/extension/content.h"
#include "native/manifest/scan.h"

namespace backupkit {

// One file of it. Without a copy there was no such file.
struct SqliteMember {
  ScanEntry found;
  UniqueFd copy;
};

struct SqliteUnit {
  Fate fate = Fate::kStored;
  int sys_errno = 0;                           // of kUnreadable
  SqliteMember database;                       // no copy where none was wanted
  std::map<std::string, SqliteMember> beside;  // by path: -journal, -shm and -wal
};

// False: it is no database, and nobody has to open it to know.
[[nodiscard]] bool may_be_database(const ScanEntry& found);

// Takes the unit of the database that is being visited: copies, as unnamed files on the file system
// of `sandbox`. Nothing where the file is no database: it does not begin as one does. `wants` says
// whether the database itself, as it is now, is to be copied.
//
// Reads under SQLite's own locks (sqlite.org/lockingv3.html, walformat.html): a shared lock of the
// database keeps every commit out that does not go to a WAL; with one, shared locks of the first
// two readers' slots of its index keep checkpoints out and let the WAL grow alone. Where the locks
// are not to be had within five seconds, or do not cover a file, no file may change meanwhile.
// What changed is taken again, all of it. The Error is one of this process, not of a file.
[[nodiscard]] Result<std::optional<SqliteUnit>> take_sqlite_unit(
    const ScanEntry& found, BorrowedFd sandbox, Labels labels,
    const std::function<Result<bool>(const ScanEntry&)>& wants);

// For tests: is called when everything was copied, before the second look.
void on_sqlite_copied(std::function<void(const std::string& path)> hook);

}  // namespace backupkit
