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
#include <ctime>
#include <deque>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "native/base/syscall.h"
#include "native/io/path.h"
#include "native/manifest/directory_names.h"
#include "native/manifest/look_ahead.h"
#include "native/manifest/sorted_names.h"

namespace backupkit {
namespace {

constexpr size_t kHeldLevels = 64;
constexpr uint64_t kFewSteps = 64;  // of a walk, that are not worth a thread
constexpr size_t kMostAhead = 4;    // directories, of each level
constexpr int kOpenDir = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// One directory of the way from the root to where the walk is.
struct Level {
  UniqueFd directory;  // none while more than kHeldLevels below it are open
  ScanEntry entry;     // of the directory itself; its parent and name are set when it is visited
  bool taken = false;
  bool emitted = false;
  SortedNames names;
  std::vector<Look> looks;               // at each of the names, if they were looked at ahead
  size_t passed = 0;                     // of the names
  size_t offered = 0;                    // to be looked at ahead, likewise
  std::deque<LookAhead::Looking> ahead;  // in the order of their names
  int problem = 0;                       // why the walk could not come back to it: an errno
};

Timestamp time_of(const timespec& time) {
  return {time.tv_sec, static_cast<uint32_t>(time.tv_nsec)};
}

Result<std::string> read_target(BorrowedFd parent, const std::string& name) {
  std::array<char, PATH_MAX + 1> target{};
  const ssize_t got = ::readlinkat(parent.get(), name.c_str(), target.data(), target.size());
  // EINVAL: it is none any more.
  if (got < 0)
    return failure(Error::from_errno(errno == EINVAL ? ENOENT : errno, "reading a link"));
  if (static_cast<size_t>(got) == target.size()) {
    return failure(Error::from_errno(ENAMETOOLONG, "reading a link"));
  }
  return std::string(target.data(), static_cast<size_t>(got));
}

bool is_left_out(const Rules::Judgement& judgement) {
  return judgement.verdict == Rules::Verdict::kExclude ||
         judgement.verdict == Rules::Verdict::kOutside;
}

// The directory that the entry is. Error ENOENT: the name is another one's now.
Result<UniqueFd> open_same(BorrowedFd parent, const std::string& name, const ScanEntry& entry) {
  UniqueFd directory(retry([&] { return ::openat(parent.get(), name.c_str(), kOpenDir); }));
  struct stat status{};
  if (!directory.is_open() || ::fstat(directory.get(), &status) != 0) return errno_failure(name);
  if (status.st_ino == entry.inode && status.st_dev == entry.device) return directory;
  return failure(Error::from_errno(ENOENT, name));
}

Look look_now(const ScanEntry& entry) {
  Look look;
  const int done =
      ::fstatat(entry.parent.get(), entry.name.c_str(), &look.status, AT_SYMLINK_NOFOLLOW);
  look.problem = done == 0 ? 0 : errno;
  return look;
}

class Walk {
 public:
  // `move` may be null.
  Walk(BorrowedFd root, const Rules& rules, const Moves& moves, const Move* move,
       const ScanHandlers& handlers, size_t helpers)
      : root_(root),
        rules_(rules),
        moves_(moves),
        move_(move),
        handlers_(handlers),
        buffer_(size_t{64} << 10U),
        look_ahead_(helpers) {}

  Result<void> run() {
    auto walked = move_ == nullptr ? begin() : begin_moved();
    while (walked && !levels_.empty()) {
      if (++steps_ > kFewSteps && look_ahead_.has_room()) offer();
      const auto next = levels_.back().names.next();
      if (!next) return failure(next.error());
      const auto& name = *next;
      if (name) ++levels_.back().passed;
      walked = name ? look_at(*name) : leave();
    }
    return walked;
  }

 private:
  Result<void> begin();
  Result<void> begin_moved();
  Result<void> look_at(const DirectoryName& name);
  Result<void> look_at_known(ScanEntry entry, bool taken);
  Result<void> enter(ScanEntry entry, bool taken);
  void offer();
  bool offer(Level& level, const DirectoryName& name);
  bool enter_looked_at(Level& level, const ScanEntry& entry);
  Result<void> read(Level& level, const ScanEntry& entry);
  Result<void> leave();
  Result<void> return_to_above(const Level& last);
  Result<void> emit_levels();
  Result<void> miss(Fate fate, const std::string& path);
  Result<void> exclude(const Rules::Judgement& judgement, const std::string& path);
  Result<void> fail(int number, const std::string& path);
  [[nodiscard]] std::string below(const std::string& name) const;
  [[nodiscard]] bool is_at_move() const { return move_ != nullptr && levels_.size() == 1; }
  [[nodiscard]] std::string source_of(const std::string& path) const;
  [[nodiscard]] Rules::Judgement judge(const std::string& path, bool is_directory,
                                       bool parent_taken) const;
  [[nodiscard]] bool is_taken_away(const std::string& path) const;

  BorrowedFd root_;
  const Rules& rules_;
  const Moves& moves_;
  const Move* move_;
  const ScanHandlers& handlers_;
  std::vector<char> buffer_;
  LookAhead look_ahead_;
  uint64_t steps_ = 0;
  std::deque<Level> levels_;
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
  auto names = SortedNames::read(directory.borrow(), root_, buffer_);
  if (!names) return failure(names.error().in("the directory to back up"));
  level.names = std::move(*names);
  level.directory = std::move(directory);
  level.emitted = !level.taken;  // the root is no ancestor to be stored for its content's sake
  levels_.push_back(std::move(level));
  return levels_.back().taken ? emit_levels() : Result<void>();
}

// Begins in the directory that the moved one is in, as if it had no other name.
Result<void> Walk::begin_moved() {
  auto above = parent_name(move_->from);
  if (above.empty()) above = ".";
  Level level;
  level.emitted = true;
  level.taken = rules_.explain(above, true).judgement.verdict == Rules::Verdict::kTake;
  auto directory = open_beneath(root_, above, O_PATH | O_DIRECTORY);
  struct stat status{};
  int problem = directory ? 0 : directory.error().sys_errno;
  if (directory && ::fstat(directory->get(), &status) != 0) problem = errno;
  if (problem == 0) {
    fill(level.entry, status);
    level.entry.name = above;
    level.names = SortedNames::of({{base_name(move_->from), DT_DIR}});
    level.directory = std::move(*directory);
  }
  levels_.push_back(std::move(level));
  return problem == 0 ? Result<void>() : fail(problem, move_->to);
}

std::string Walk::below(const std::string& name) const {
  if (is_at_move()) return move_->to;
  return levels_.size() == 1 ? name : levels_.back().entry.path + "/" + name;
}

std::string Walk::source_of(const std::string& path) const {
  return move_ == nullptr ? path : move_->from + path.substr(move_->to.size());
}

Rules::Judgement Walk::judge(const std::string& path, bool is_directory, bool parent_taken) const {
  if (move_ == nullptr) return rules_.judge(path, is_directory, parent_taken);
  return rules_.judge(source_of(path), is_directory, parent_taken);
}

bool Walk::is_taken_away(const std::string& path) const {
  return !moves_.all().empty() && !is_at_move() && moves_.takes_away(source_of(path));
}

Result<void> Walk::look_at(const DirectoryName& name) {
  const Level& level = levels_.back();
  ScanEntry entry;
  entry.path = below(name.text);
  entry.name = name.text;
  entry.parent = level.directory.borrow();
  entry.is_moved = is_at_move();
  int problem = -1;  // the look's errno; -1: not looked yet
  const auto look = [&] {
    const Look now = level.looks.empty() ? look_now(entry) : level.looks[level.passed - 1];
    problem = now.problem;
    if (problem == 0) fill(entry, now.status);
  };
  if (name.kind == DT_UNKNOWN) look();
  // What stays unknown is judged as what reaches furthest.
  const bool directory =
      problem == 0 ? S_ISDIR(entry.mode) : name.kind == DT_DIR || name.kind == DT_UNKNOWN;
  auto judgement = judge(entry.path, directory, level.taken);
  if (is_left_out(judgement)) return exclude(judgement, entry.path);
  if (problem < 0) look();
  if (problem != 0) return fail(problem, entry.path);
  if (S_ISDIR(entry.mode) != directory) {  // replaced since its name was read
    judgement = judge(entry.path, !directory, level.taken);
    if (is_left_out(judgement)) return exclude(judgement, entry.path);
  }
  if (S_ISDIR(entry.mode) && is_taken_away(entry.path)) return {};
  return look_at_known(std::move(entry), judgement.verdict == Rules::Verdict::kTake);
}

Result<void> Walk::look_at_known(ScanEntry entry, bool taken) {
  if (S_ISDIR(entry.mode)) return enter(std::move(entry), taken);
  if (S_ISSOCK(entry.mode)) return miss(Fate::kUnsupported, entry.path);
  if (S_ISLNK(entry.mode)) {
    auto target = read_target(entry.parent, entry.name);
    if (!target) return fail(target.error().sys_errno, entry.path);
    entry.link_target = std::move(*target);
  }
  if (auto emitted = emit_levels(); !emitted) return emitted;
  return handlers_.visit(entry);
}

Result<void> Walk::enter(ScanEntry entry, bool taken) {
  Level level;
  level.taken = taken;
  if (!enter_looked_at(level, entry)) {
    if (auto done = read(level, entry); !done) return fail(done.error().sys_errno, entry.path);
  }
  level.entry = std::move(entry);
  levels_.push_back(std::move(level));
  if (levels_.size() > kHeldLevels) levels_[levels_.size() - kHeldLevels - 1].directory.reset();
  return taken ? emit_levels() : Result<void>();
}

// Reads the directory that the entry is.
Result<void> Walk::read(Level& level, const ScanEntry& entry) {
  auto directory = open_same(entry.parent, entry.name, entry);
  if (!directory) return failure(directory.error());
  level.directory = std::move(*directory);
  auto names = SortedNames::read(level.directory.borrow(), root_, buffer_);
  if (!names) return failure(names.error());
  level.names = std::move(*names);
  return {};
}

// Takes what was seen of it ahead. False: it was not looked at, or another one was.
bool Walk::enter_looked_at(Level& level, const ScanEntry& entry) {
  auto& ahead = levels_.back().ahead;
  while (!ahead.empty() && ahead.front().name() < entry.name) ahead.pop_front();
  if (ahead.empty() || ahead.front().name() != entry.name) return false;
  auto found = ahead.front().finish();
  ahead.pop_front();
  if (!found || found->status.st_ino != entry.inode || found->status.st_dev != entry.device) {
    return false;
  }
  level.directory = std::move(found->directory);
  level.names = SortedNames::of(std::move(found->names));
  level.looks = std::move(found->looks);
  return true;
}

// Has the next directories here looked at ahead.
void Walk::offer() {
  Level& level = levels_.back();
  if (!level.directory.is_open()) return;
  const auto left = level.names.left();
  level.offered = std::max(level.offered, level.passed);
  for (; level.offered - level.passed < left.size(); ++level.offered) {
    if (!offer(level, left[level.offered - level.passed])) return;
  }
}

// False: it has to wait.
bool Walk::offer(Level& level, const DirectoryName& name) {
  if (name.kind != DT_DIR) return true;
  if (level.ahead.size() == kMostAhead || !look_ahead_.has_room()) return false;
  const auto path = below(name.text);
  if (is_taken_away(path) || is_left_out(judge(path, true, level.taken))) return true;
  UniqueFd directory(
      retry([&] { return ::openat(level.directory.get(), name.text.c_str(), kOpenDir); }));
  if (!directory.is_open()) return true;  // the walk will say why
  level.ahead.push_back(look_ahead_.begin(std::move(directory), name.text));
  return true;
}

Result<void> Walk::leave() {
  const Level last = std::move(levels_.back());
  levels_.pop_back();
  if (!levels_.empty() && !last.emitted) {
    const Rules::Judgement nothing_below;
    if (auto told = exclude(nothing_below, last.entry.path); !told) return told;
  }
  return levels_.empty() || levels_.back().directory.is_open() ? Result<void>()
                                                               : return_to_above(last);
}

// A directory that was closed is opened by `..` of the one below; when that was moved meanwhile it
// has another one there, and what is left of it is gone. What is left of one that cannot be opened
// is not looked at, as above it.
Result<void> Walk::return_to_above(const Level& last) {
  Level& above = levels_.back();
  above.problem = last.problem;
  if (last.directory.is_open()) {
    auto opened = open_same(last.directory.borrow(), "..", above.entry);
    if (opened) {
      above.directory = std::move(*opened);
      return {};
    }
    above.problem = opened.error().sys_errno;
  }
  for (;;) {
    const auto next = above.names.next();
    if (!next) return failure(next.error());
    const auto& name = *next;
    if (!name) return {};
    if (auto told = fail(above.problem, below(name->text)); !told) return told;
  }
}

Result<void> Walk::emit_levels() {
  UniqueFd walked;  // where a level is closed: the way down to it, once more
  // An emitted level is below emitted ones only. From the last of them, or the open one above it.
  auto level = levels_.end();
  while (level != levels_.begin() && !std::prev(level)->emitted) --level;
  while (level != levels_.begin() && !std::prev(level)->directory.is_open()) --level;
  BorrowedFd parent = level == levels_.begin() ? root_ : std::prev(level)->directory.borrow();
  for (; level != levels_.end(); ++level) {
    if (!level->emitted) {
      level->emitted = true;
      level->entry.parent = parent;
      if (auto emitted = handlers_.visit(level->entry); !emitted) return emitted;
    }
    if (level->directory.is_open()) {
      parent = level->directory.borrow();
      continue;
    }
    // Through one that was moved away, what is below it cannot be opened any more.
    auto opened = open_same(parent, level->entry.name, level->entry);
    walked = opened ? std::move(*opened) : UniqueFd();
    parent = walked.borrow();
  }
  return {};
}

Result<void> Walk::miss(Fate fate, const std::string& path) {
  return handlers_.miss({fate, path, 0, {}, levels_.back().entry.device});
}

Result<void> Walk::exclude(const Rules::Judgement& judgement, const std::string& path) {
  return handlers_.miss({Fate::kExcluded, path, 0, judgement, levels_.back().entry.device});
}

// Says what a failed look at an entry means.
Result<void> Walk::fail(int number, const std::string& path) {
  // ENOTDIR and ELOOP: it was replaced since the look at it.
  if (number == ENOENT || number == ENOTDIR || number == ELOOP) {
    return miss(Fate::kVanished, path);
  }
  if (auto emitted = emit_levels(); !emitted) return emitted;
  return handlers_.miss({Fate::kUnreadable, path, number, {}, levels_.back().entry.device});
}

}  // namespace

uint64_t occupied(const ScanEntry& found) {
  constexpr uint64_t kSmall = 65536;
  constexpr uint64_t kStatBlock = 512;
  if (!S_ISREG(found.mode)) return 0;
  return found.size <= kSmall ? found.size : std::min(found.size, found.blocks * kStatBlock);
}

void fill(ScanEntry& entry, const struct stat& status) {
  entry.mode = status.st_mode;
  entry.uid = status.st_uid;
  entry.gid = status.st_gid;
  entry.size = static_cast<uint64_t>(status.st_size);
  entry.blocks = static_cast<uint64_t>(status.st_blocks);
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

Result<void> scan(BorrowedFd root, const Rules& rules, const ScanHandlers& handlers,
                  size_t helpers) {
  return scan_apart(root, rules, Moves(), nullptr, handlers, helpers);
}

Result<void> scan_apart(BorrowedFd root, const Rules& rules, const Moves& moves, const Move* move,
                        const ScanHandlers& handlers, size_t helpers) {
  return Walk(root, rules, moves, move, handlers, helpers).run();
}

}  // namespace backupkit
