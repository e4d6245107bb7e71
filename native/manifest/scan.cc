#include "native/manifest/scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/base/syscall.h"

namespace backupkit {
namespace {

constexpr size_t kHeldLevels = 64;
constexpr size_t kMostDetails = 100;
constexpr int kOpenDir = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

struct Name {
  std::string text;
  unsigned char kind = DT_UNKNOWN;
  friend bool operator<(const Name& a, const Name& b) { return a.text < b.text; }
};

// One directory of the way from the root to where the walk is.
struct Level {
  UniqueFd directory;  // none while more than kHeldLevels below it are open
  ScanEntry entry;     // of the directory itself; its parent and name are set when it is visited
  bool taken = false;
  bool emitted = false;
  std::vector<Name> names;
  size_t next = 0;
};

Timestamp time_of(const timespec& time) {
  return {time.tv_sec, static_cast<uint32_t>(time.tv_nsec)};
}

void fill(ScanEntry& entry, const struct stat& status) {
  entry.mode = status.st_mode;
  entry.uid = status.st_uid;
  entry.gid = status.st_gid;
  entry.size = static_cast<uint64_t>(status.st_size);
  entry.mtime = time_of(status.st_mtim);
  entry.atime = time_of(status.st_atim);
  entry.ctime = time_of(status.st_ctim);
  entry.inode = status.st_ino;
  entry.device = status.st_dev;
  entry.links = status.st_nlink;
  if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
    entry.device_major = major(status.st_rdev);
    entry.device_minor = minor(status.st_rdev);
  }
}

bool is_dots(std::string_view name) { return name == "." || name == ".."; }

// The names in `directory`, sorted.
Result<std::vector<Name>> read_names(BorrowedFd directory, std::span<char> buffer) {
  std::vector<Name> names;
  for (;;) {
    const ssize_t got =
        retry([&] { return ::getdents64(directory.get(), buffer.data(), buffer.size()); });
    if (got < 0) return errno_failure("reading a directory");
    if (got == 0) break;
    for (size_t at = 0; at < static_cast<size_t>(got);) {
      const char* record = buffer.data() + at;
      uint16_t length = 0;  // copied out: the records are not aligned for everybody
      std::memcpy(&length, record + offsetof(dirent64, d_reclen), sizeof(length));
      const char* name = record + offsetof(dirent64, d_name);
      const auto kind = static_cast<unsigned char>(record[offsetof(dirent64, d_type)]);
      if (!is_dots(name)) names.push_back({name, kind});
      at += length;
    }
  }
  std::ranges::sort(names, [](const Name& a, const Name& b) { return a < b; });
  return names;
}

Result<std::string> read_target(BorrowedFd parent, const std::string& name) {
  std::array<char, PATH_MAX + 1> target{};
  const ssize_t got = ::readlinkat(parent.get(), name.c_str(), target.data(), target.size());
  if (got < 0) return errno_failure("reading a link");
  if (static_cast<size_t>(got) == target.size()) {
    return failure(Error::from_errno(ENAMETOOLONG, "reading a link"));
  }
  return std::string(target.data(), static_cast<size_t>(got));
}

bool is_same(BorrowedFd directory, const ScanEntry& entry) {
  struct stat status{};
  return ::fstat(directory.get(), &status) == 0 && status.st_ino == entry.inode &&
         status.st_dev == entry.device;
}

class Walk {
 public:
  Walk(BorrowedFd root, const Rules& rules, const ScanVisit& visit)
      : root_(root), rules_(rules), visit_(visit), buffer_(size_t{64} << 10U) {}

  Result<ScanTotals> run() {
    if (auto begun = begin(); !begun) return failure(begun.error());
    while (!levels_.empty()) {
      Level& level = levels_.back();
      if (level.next == level.names.size()) {
        leave();
        continue;
      }
      const Name name = std::move(level.names[level.next++]);
      if (auto looked = look_at(name); !looked) return failure(looked.error());
    }
    return std::move(totals_);
  }

 private:
  Result<void> begin();
  Result<void> look_at(const Name& name);
  Result<void> look_at_known(ScanEntry entry, bool taken);
  Result<void> enter(ScanEntry entry, bool taken);
  void leave();
  Result<void> emit_levels();
  Result<void> emit(ScanEntry& entry);
  void note(int number, const std::string& path);
  void detail(const std::string& path, const char* why);
  [[nodiscard]] std::string below(const std::string& name) const;

  BorrowedFd root_;
  const Rules& rules_;
  const ScanVisit& visit_;
  std::vector<char> buffer_;
  std::deque<Level> levels_;
  ScanTotals totals_;
};

Result<void> Walk::begin() {
  // A description of its own: reading the names moves the position.
  UniqueFd directory(retry([&] { return ::openat(root_.get(), ".", kOpenDir); }));
  if (!directory.is_open()) return errno_failure("opening the directory to back up");
  struct stat status{};
  if (::fstat(directory.get(), &status) != 0) return errno_failure("the directory to back up");
  Level level;
  fill(level.entry, status);
  level.entry.path = level.entry.name = ".";
  level.taken = rules_.takes_everything();
  auto names = read_names(directory.borrow(), buffer_);
  if (!names) return failure(names.error().in("the directory to back up"));
  level.names = std::move(*names);
  level.directory = std::move(directory);
  level.emitted = !level.taken;  // the root is no ancestor to be stored for its content's sake
  levels_.push_back(std::move(level));
  return levels_.back().taken ? emit_levels() : Result<void>();
}

std::string Walk::below(const std::string& name) const {
  return levels_.size() == 1 ? name : levels_.back().entry.path + "/" + name;
}

Result<void> Walk::look_at(const Name& name) {
  const Level& level = levels_.back();
  ScanEntry entry;
  entry.path = below(name.text);
  struct stat status{};
  bool known = false;
  const auto look = [&] {
    known = ::fstatat(level.directory.get(), name.text.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (!known) note(errno, entry.path);
    return known;
  };
  if (name.kind == DT_UNKNOWN && !look()) return {};
  const bool directory = known ? S_ISDIR(status.st_mode) : name.kind == DT_DIR;
  auto verdict = rules_.judge(entry.path, directory, level.taken, nullptr);
  switch (verdict) {
    case Rules::Verdict::kOutside:
      return {};
    case Rules::Verdict::kExclude:
      ++totals_.excluded;
      return {};
    case Rules::Verdict::kTake:
    case Rules::Verdict::kDescend:
      break;
  }
  if (!known && !look()) return {};
  fill(entry, status);
  entry.name = name.text;
  entry.parent = level.directory.borrow();
  if (S_ISDIR(entry.mode) != directory) {  // replaced since its name was read
    verdict = rules_.judge(entry.path, !directory, level.taken, nullptr);
  }
  const bool taken = verdict == Rules::Verdict::kTake;
  return look_at_known(std::move(entry), taken);
}

Result<void> Walk::look_at_known(ScanEntry entry, bool taken) {
  if (S_ISDIR(entry.mode)) return enter(std::move(entry), taken);
  if (!taken) {  // was a directory a moment ago, when something below it could be taken
    ++totals_.vanished;
    return {};
  }
  if (S_ISSOCK(entry.mode)) {
    ++totals_.unsupported;
    detail(entry.path, "socket");
    return {};
  }
  if (S_ISLNK(entry.mode)) {
    auto target = read_target(entry.parent, entry.name);
    if (!target) {
      note(target.error().sys_errno, entry.path);
      return {};
    }
    entry.link_target = std::move(*target);
  }
  if (auto emitted = emit_levels(); !emitted) return emitted;
  return emit(entry);
}

Result<void> Walk::enter(ScanEntry entry, bool taken) {
  Level level;
  level.taken = taken;
  level.directory.reset(
      retry([&] { return ::openat(entry.parent.get(), entry.name.c_str(), kOpenDir); }));
  if (!level.directory.is_open()) {
    // ENOTDIR and ELOOP: it was replaced since the look at it.
    note(errno == ENOTDIR || errno == ELOOP ? ENOENT : errno, entry.path);
    return {};
  }
  if (!is_same(level.directory.borrow(), entry)) {
    ++totals_.vanished;
    return {};
  }
  auto names = read_names(level.directory.borrow(), buffer_);
  if (!names) {
    note(names.error().sys_errno, entry.path);
    return {};
  }
  level.names = std::move(*names);
  level.entry = std::move(entry);
  levels_.push_back(std::move(level));
  if (levels_.size() > kHeldLevels) levels_[levels_.size() - kHeldLevels - 1].directory.reset();
  return taken ? emit_levels() : Result<void>();
}

// Goes back to the directory above. When it was closed, it is opened by `..` of the one below; a
// directory that was moved meanwhile has another one there, and what is left of it is gone.
void Walk::leave() {
  const Level last = std::move(levels_.back());
  levels_.pop_back();
  if (levels_.empty() || levels_.back().directory.is_open()) return;
  Level& above = levels_.back();
  if (last.directory.is_open()) {
    above.directory.reset(retry([&] { return ::openat(last.directory.get(), "..", kOpenDir); }));
  }
  if (above.directory.is_open() && is_same(above.directory.borrow(), above.entry)) return;
  above.directory.reset();
  totals_.vanished += above.names.size() - above.next;
  above.next = above.names.size();
}

Result<void> Walk::emit_levels() {
  UniqueFd walked;  // where a level is closed: the way down to it, once more
  BorrowedFd parent = root_;
  if (levels_.back().emitted) return {};  // and so are all above it
  for (auto level = levels_.begin(); level != levels_.end(); ++level) {
    if (!level->emitted) {
      level->emitted = true;
      level->entry.parent = parent;
      if (auto emitted = emit(level->entry); !emitted) return emitted;
    }
    if (level->directory.is_open()) {
      parent = level->directory.borrow();
      continue;
    }
    UniqueFd opened(
        retry([&] { return ::openat(parent.get(), level->entry.name.c_str(), kOpenDir); }));
    walked = std::move(opened);
    parent = walked.borrow();
  }
  return {};
}

Result<void> Walk::emit(ScanEntry& entry) {
  ++totals_.stored;
  return visit_(entry);
}

void Walk::note(int number, const std::string& path) {
  if (number == ENOENT) {
    ++totals_.vanished;
    return;
  }
  ++totals_.unreadable;
  const char* name = ::strerrorname_np(number);
  detail(path, name != nullptr ? name : "unknown error");
}

void Walk::detail(const std::string& path, const char* why) {
  if (totals_.details.size() < kMostDetails) totals_.details.push_back(path + ": " + why);
}

}  // namespace

Result<ScanTotals> scan(BorrowedFd root, const Rules& rules, const ScanVisit& visit) {
  return Walk(root, rules, visit).run();
}

}  // namespace backupkit
