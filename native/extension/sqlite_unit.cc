#include "native/extension/sqlite_unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "native/base/syscall.h"
#include "native/extension/small_files.h"
#include "native/extension/sqlite_names.h"
#include "native/io/copy.h"
#include "native/io/file_lock.h"
#include "native/io/tmpfile.h"

namespace backupkit {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(5);
constexpr uint64_t kLeastPage = 512;  // a database is whole pages of a multiple of that
// Of the database.
constexpr int64_t kPendingByte = 0x40000000;
constexpr int64_t kSharedFirst = kPendingByte + 2;
constexpr int64_t kSharedLength = 510;
// Of the index of its WAL: the readers' slot that checkpoints need, and one that a new begin of the
// WAL needs. The others are left to readers.
constexpr int64_t kReadSlots = 123;
constexpr int64_t kReadSlotCount = 2;

std::function<void(const std::string&)> copied_hook;

// Whether what is being visited is one; who cannot read it finds out again, and says so.
bool is_database(const ScanEntry& found) {
  if (!may_be_database(found)) return false;
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  const UniqueFd file(
      retry([&] { return ::openat(found.parent.get(), found.name.c_str(), kFlags); }));
  return file.is_open() && has_sqlite_database(file.borrow(), 0).value_or(false);
}

bool lock_database(BorrowedFd database, Clock::time_point until) {
  // As SQLite does: who waits for an exclusive lock keeps new readers out by the pending byte.
  if (!await_shared_lock(database, kPendingByte, 1, until)) return false;
  const bool locked = await_shared_lock(database, kSharedFirst, kSharedLength, until);
  unlock(database, kPendingByte, 1);
  return locked;
}

// One attempt to take a unit. Locks are held as long as it is there.
class Taking {
 public:
  Taking(const ScanEntry& found, BorrowedFd sandbox, Labels labels, Clock::time_point until)
      : found_(found), sandbox_(sandbox), labels_(labels), until_(until) {}

  // Error: one of opening the database.
  Result<void> open() {
    auto content = Content::open(found_, labels_);
    if (!content) return failure(content.error());
    database_.emplace(std::move(*content));
    locked_ = lock_database(database_->file(), until_);
    ScanEntry index = beside("-shm");
    auto shm = Content::open(index, labels_);
    if (shm) shm_.emplace(std::move(*shm));
    wal_locked_ =
        locked_ && shm_ && await_shared_lock(shm_->file(), kReadSlots, kReadSlotCount, until_);
    return database_->look(found_);
  }

  Result<void> copy(SqliteUnit& unit, const std::function<Result<bool>(const ScanEntry&)>& wants) {
    unit.database.found = found_;
    // Where this fails, all of it is lost.
    for (const std::string_view suffix : kSqliteSuffixes) {
      SqliteMember member{.found = beside(suffix), .copy = {}};
      unit.beside.emplace(member.found.path, std::move(member));
    }
    auto wanted = wants(found_);
    if (!wanted) return failure(wanted.error());
    if (*wanted) {
      if (auto copied = copy_one(database(), unit.database); !copied) return copied;
    }
    // The WAL after the database: what is in the one by a checkpoint is in the other, too.
    for (auto& [path, member] : unit.beside) {
      auto content = Content::open(member.found, labels_);
      if (!content && !is_gone(content.error().sys_errno)) return failure(content.error());
      if (content) {
        if (auto copied = copy_one(*content, member); !copied) return copied;
        member.found.holes.clear();  // it may have changed since they were read
        member.found.links = 1;      // it goes with this database, whatever other names it has
        beside_.emplace(path, std::move(*content));
      }
    }
    return {};
  }

  // Whether what was copied belongs together.
  [[nodiscard]] bool is_consistent() const {
    if (copied_hook) copied_hook(found_.path);
    if (!database().is_unchanged()) return false;
    const bool is_covered = locked_ && (wal_locked_ || !exists("-wal"));
    for (const std::string_view suffix : kSqliteSuffixes) {
      if (suffix == "-wal" ? wal_locked_ : is_covered) continue;
      const auto content = beside_.find(beside(suffix).path);
      const bool was_there = content != beside_.end();
      if (was_there != exists(suffix)) return false;
      if (was_there && !content->second.is_unchanged()) return false;
    }
    return true;
  }

 private:
  [[nodiscard]] const Content& database() const {
    return *database_;  // NOLINT(bugprone-unchecked-optional-access): open() has set it
  }
  [[nodiscard]] ScanEntry beside(std::string_view suffix) const {
    ScanEntry entry = found_;
    entry.path += suffix;
    entry.name += suffix;
    return entry;
  }

  [[nodiscard]] bool exists(std::string_view suffix) const {
    const ScanEntry entry = beside(suffix);
    struct stat found{};
    return ::fstatat(entry.parent.get(), entry.name.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(found.st_mode);
  }

  [[nodiscard]] Result<void> copy_one(const Content& content, SqliteMember& member) const {
    auto made = unnamed_file(sandbox_);
    if (!made) return failure(made.error());
    auto copied = Copier().copy(content.file(), made->borrow(), member.found.size);
    if (!copied) return failure(copied.error());
    member.found.size = *copied;
    member.copy = std::move(*made);
    return {};
  }

  ScanEntry found_;
  BorrowedFd sandbox_;
  Labels labels_;
  Clock::time_point until_;
  std::optional<Content> database_;
  std::optional<Content> shm_;
  std::map<std::string, Content> beside_;  // by path
  bool locked_ = false;
  bool wal_locked_ = false;
};

Result<std::optional<SqliteUnit>> failed(SqliteUnit unit, const Error& error) {
  if (error.code == Code::kClosed) return failure(error);
  auto handling = handling_of(error);
  if (!handling) return failure(handling.error());
  unit.fate = handling->fate;
  unit.sys_errno = handling->sys_errno;
  return unit;
}

}  // namespace

bool may_be_database(const ScanEntry& found) {
  return S_ISREG(found.mode) && found.size > 0 && found.size % kLeastPage == 0;
}

Result<std::optional<SqliteUnit>> take_sqlite_unit(
    const ScanEntry& found, BorrowedFd sandbox, Labels labels,
    const std::function<Result<bool>(const ScanEntry&)>& wants) {
  if (!is_database(found)) return std::nullopt;
  const auto until = Clock::now() + kPatience;
  SqliteUnit unit;
  for (int reading = 0; reading < kMostReadings; ++reading) {
    unit = {};
    unit.database.found = found;
    Taking taking(found, sandbox, labels, until);
    if (auto opened = taking.open(); !opened) return std::nullopt;  // as above
    if (auto copied = taking.copy(unit, wants); !copied) {
      return failed(std::move(unit), copied.error());
    }
    if (taking.is_consistent()) return unit;
  }
  unit.fate = Fate::kUnstable;
  return unit;
}

void on_sqlite_copied(std::function<void(const std::string&)> hook) {
  copied_hook = std::move(hook);
}

}  // namespace backupkit
