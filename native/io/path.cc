#include "native/io/path.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/base/syscall.h"
#include "native/io/mounts.h"

namespace backupkit {
namespace {

constexpr size_t kLongestPiece = PATH_MAX - 1;
constexpr int kRaceAttempts = 100;
constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

std::atomic<bool> walk_forced = false;

long openat2(int root, const char* path, const open_how* how, size_t size) {
  return ::syscall(SYS_openat2, root, path, how, size);
}

// Asked with a size that no version has: EINVAL where the call exists, ENOSYS where the kernel is
// too old, and EPERM under filters that do not know it, which a real open could say as well.
bool has_openat2() {
  static const bool kHas = openat2(-1, "", nullptr, 0) == -1 && errno == EINVAL;
  return kHas && !walk_forced;
}

// The components of a relative path, joined by single slashes and without ".": "" is the root.
struct Normal {
  std::string path;
  bool names_directory = false;  // it ended in "/" or "."
};

Normal normalise(std::string_view path) {
  Normal normal;
  normal.names_directory = path.ends_with('/') || path.ends_with("/.") || path == ".";
  while (!path.empty()) {
    const auto component = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), component.size() + 1));
    if (component.empty() || component == ".") continue;
    if (!normal.path.empty()) normal.path += '/';
    normal.path += component;
  }
  return normal;
}

// Opens one piece of a path by openat2(2).
UniqueFd open_resolved(BorrowedFd at, const std::string& piece, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<uint64_t>(static_cast<unsigned>(flags));
  // Unlike openat(2) it adds nothing by itself on 32 bits, and refuses what O_PATH would ignore.
  if ((flags & O_PATH) == 0) how.flags |= O_LARGEFILE;
  how.mode = (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) != 0 ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  for (int attempt = 0;; ++attempt) {
    const auto number = retry([&] { return openat2(at.get(), piece.c_str(), &how, sizeof(how)); });
    // EAGAIN: a rename somewhere else was in the way of the check.
    if (number >= 0 || errno != EAGAIN || attempt == kRaceAttempts) {
      return UniqueFd(static_cast<int>(number));
    }
  }
}

// Opens one component, not following it.
UniqueFd open_component(BorrowedFd at, const std::string& name, int flags, mode_t mode) {
  UniqueFd opened(
      retry([&] { return ::openat(at.get(), name.c_str(), flags | O_NOFOLLOW, mode); }));
  if (!opened.is_open() || (flags & O_PATH) == 0 || (flags & O_NOFOLLOW) != 0) return opened;
  // O_PATH|O_NOFOLLOW opens a link itself, which was not asked for.
  struct stat status{};
  if (::fstat(opened.get(), &status) == 0 && !S_ISLNK(status.st_mode)) return opened;
  opened.reset();
  errno = ELOOP;
  return opened;
}

UniqueFd open_piece(BorrowedFd at, const std::string& piece, int flags, mode_t mode) {
  return has_openat2() ? open_resolved(at, piece, flags, mode)
                       : open_component(at, piece, flags, mode);
}

// How much of `path` is opened at once: all that the kernel takes, or one component.
size_t piece_length(std::string_view path) {
  if (!has_openat2()) return std::min(path.find('/'), path.size());
  if (path.size() <= kLongestPiece) return path.size();
  const auto slash = path.rfind('/', kLongestPiece);
  return slash == std::string_view::npos ? path.size() : slash;
}

std::string shown(std::string_view path) { return "\"" + std::string(path) + "\""; }

// A directory that is being removed.
struct Doomed {
  std::string name;
  UniqueFd fd;  // not open for those far above the deepest one
  dev_t device = 0;
  ino_t inode = 0;
  std::vector<std::string> children;  // directories that are still there
  int passes = 0;
};

constexpr size_t kHeldDirectories = 32;
constexpr int kPasses = 4;

Result<void> identify(Doomed& doomed) {
  struct stat status{};
  if (::fstat(doomed.fd.get(), &status) != 0) return errno_failure(shown(doomed.name));
  doomed.device = status.st_dev;
  doomed.inode = status.st_ino;
  // Where this fails the removal of an entry says why.
  if ((status.st_mode & S_IRWXU) != S_IRWXU) (void)::fchmod(doomed.fd.get(), S_IRWXU);
  return {};
}

// Opens a directory to be removed, also one whose owner, us, may not read it.
Result<Doomed> open_doomed(BorrowedFd parent, const std::string& name) {
  Doomed doomed;
  doomed.name = name;
  const auto open_once = [&] {
    return retry([&] { return ::openat(parent.get(), name.c_str(), kDirectoryFlags); });
  };
  doomed.fd.reset(open_once());
  if (!doomed.fd.is_open() && errno == EACCES &&
      ::fchmodat(parent.get(), name.c_str(), S_IRWXU, AT_SYMLINK_NOFOLLOW) == 0) {
    doomed.fd.reset(open_once());
  }
  if (!doomed.fd.is_open()) return errno_failure(shown(name));
  const auto is_foreign = is_mount(doomed.fd.borrow());
  if (!is_foreign) return failure(is_foreign.error().in(shown(name)));
  if (*is_foreign) {
    return failure(Error::from_errno(EBUSY, shown(name) + ": something is mounted there"));
  }
  if (auto identified = identify(doomed); !identified) return failure(identified.error());
  return doomed;
}

// Removes what is no directory, and gives false for a directory.
Result<bool> remove_entry(BorrowedFd directory, const char* name) {
  if (::unlinkat(directory.get(), name, 0) == 0 || errno == ENOENT) return true;
  // POSIX says EPERM for a directory, Linux EISDIR.
  if (errno == EISDIR) return false;
  const int error = errno;
  struct stat status{};
  if (error == EPERM && ::fstatat(directory.get(), name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
      S_ISDIR(status.st_mode)) {
    return false;
  }
  return failure(Error::from_errno(error, shown(name)));
}

bool is_dot(std::string_view name) { return name == "." || name == ".."; }

// Removes all entries but directories, which are collected.
Result<void> sweep(Doomed& doomed) {
  UniqueFd copy(::fcntl(doomed.fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy.is_open()) return errno_failure(shown(doomed.name));
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(copy.get()), &::closedir);
  if (listing == nullptr) return errno_failure(shown(doomed.name));
  (void)copy.release();  // closedir() closes it
  ::rewinddir(listing.get());
  ++doomed.passes;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(listing.get());  // NOLINT(concurrency-mt-unsafe): own DIR
    if (entry == nullptr && errno != 0) return errno_failure(shown(doomed.name));
    if (entry == nullptr) return {};
    const char* name = static_cast<const char*>(entry->d_name);
    if (is_dot(name)) continue;
    const auto removed = remove_entry(doomed.fd.borrow(), name);
    if (!removed) return failure(removed.error());
    if (!*removed) doomed.children.emplace_back(name);
  }
}

// The directories from the top of the removed tree down to the one that is worked on. Only the
// deepest are held open: a tree may be deeper than descriptors are many.
class Removal {
 public:
  explicit Removal(BorrowedFd parent) : parent_(parent) {}

  Result<void> remove(const std::string& name) {
    if (auto entered = enter(parent_, name); !entered) return entered;
    while (!stack_.empty()) {
      Doomed& deepest = stack_.back();
      if (deepest.children.empty()) {
        if (auto left = leave(); !left) return left;
        continue;
      }
      const std::string child = std::move(deepest.children.back());
      deepest.children.pop_back();
      if (auto entered = enter(deepest.fd.borrow(), child); !entered) return entered;
    }
    return {};
  }

 private:
  Result<void> enter(BorrowedFd parent, const std::string& name) {
    auto doomed = open_doomed(parent, name);
    if (!doomed) {
      if (doomed.error().sys_errno == ENOENT) return {};
      return failure(doomed.error());
    }
    stack_.push_back(std::move(*doomed));
    if (stack_.size() > kHeldDirectories) stack_[stack_.size() - 1 - kHeldDirectories].fd.reset();
    return sweep(stack_.back());
  }

  // Removes the deepest directory, which was swept, from the one above it.
  Result<void> leave() {
    if (stack_.size() > 1) {
      if (auto opened = reopen_above(); !opened) return opened;
    }
    const Doomed& deepest = stack_.back();
    const BorrowedFd above = stack_.size() > 1 ? stack_[stack_.size() - 2].fd.borrow() : parent_;
    if (::unlinkat(above.get(), deepest.name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) {
      stack_.pop_back();
      return {};
    }
    // Somebody has added an entry, or the listing passed one over while others were removed.
    if ((errno == ENOTEMPTY || errno == EEXIST) && deepest.passes < kPasses) {
      return sweep(stack_.back());
    }
    return errno_failure(shown(deepest.name));
  }

  // The parent of the deepest directory, by "..", which only counts when it is the very one we came
  // from: the deepest one may have been moved elsewhere.
  Result<void> reopen_above() {
    Doomed& above = stack_[stack_.size() - 2];
    if (above.fd.is_open()) return {};
    UniqueFd opened(retry([&] { return ::openat(stack_.back().fd.get(), "..", kDirectoryFlags); }));
    if (!opened.is_open()) return errno_failure(shown(above.name));
    struct stat status{};
    if (::fstat(opened.get(), &status) != 0) return errno_failure(shown(above.name));
    if (status.st_dev != above.device || status.st_ino != above.inode) {
      return failure(Error::from_errno(EXDEV, shown(stack_.back().name) + " was moved"));
    }
    above.fd = std::move(opened);
    return {};
  }

  BorrowedFd parent_;
  std::vector<Doomed> stack_;
};

}  // namespace

Result<void> check_relative(std::string_view path) {
  if (path.empty()) return failure(Error::from_errno(EINVAL, "an empty path"));
  if (path.front() == '/') return failure(Error::from_errno(EINVAL, shown(path) + " is absolute"));
  if (path.find('\0') != std::string_view::npos) {
    return failure(Error::from_errno(EINVAL, shown(path) + " holds a NUL"));
  }
  for (size_t at = 0; at < path.size();) {
    const auto component = path.substr(at, path.find('/', at) - at);
    if (component == "..") return failure(Error::from_errno(EINVAL, shown(path) + " leads up"));
    at += component.size() + 1;
  }
  return {};
}

Result<UniqueFd> open_beneath(BorrowedFd root, std::string_view path, int flags, mode_t mode) {
  if (auto checked = check_relative(path); !checked) return failure(checked.error());
  const auto normal = normalise(path);
  flags |= O_CLOEXEC | (normal.names_directory ? O_DIRECTORY : 0);
  std::string_view rest = normal.path;
  UniqueFd held;
  BorrowedFd at = root;
  for (;;) {
    const size_t length = piece_length(rest);
    const bool last = length == rest.size();
    const auto piece = rest.empty() ? std::string(".") : std::string(rest.substr(0, length));
    auto opened = last ? open_piece(at, piece, flags, mode)
                       : open_piece(at, piece, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (!opened.is_open()) return errno_failure(shown(path));
    if (last) return opened;
    rest.remove_prefix(length + 1);
    held = std::move(opened);
    at = held.borrow();
  }
}

Result<UniqueFd> make_directories(BorrowedFd root, std::string_view path, mode_t mode) {
  auto whole = open_beneath(root, path, O_RDONLY | O_DIRECTORY);
  if (whole || whole.error().sys_errno != ENOENT) return whole;
  const auto normal = normalise(path);
  UniqueFd held;
  BorrowedFd at = root;
  for (std::string_view rest = normal.path;;) {
    const std::string name(rest.substr(0, rest.find('/')));
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    if (::mkdirat(at.get(), name.c_str(), mode) != 0 && errno != EEXIST) {
      return errno_failure(shown(path));
    }
    const int access = rest.empty() ? O_RDONLY : O_PATH;
    auto opened = open_piece(at, name, access | O_DIRECTORY | O_CLOEXEC, 0);
    if (!opened.is_open()) return errno_failure(shown(path));
    held = std::move(opened);
    at = held.borrow();
    if (rest.empty()) return held;
  }
}

Result<void> remove_tree(BorrowedFd parent, const std::string& name) {
  if (name.empty() || is_dot(name) || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos) {
    return failure(Error::from_errno(EINVAL, shown(name) + " is no name"));
  }
  const auto removed = remove_entry(parent, name.c_str());
  if (!removed) return failure(removed.error());
  if (*removed) return {};
  return Removal(parent).remove(name);
}

std::string base_name(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::string parent_name(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

void force_component_walk(bool force) { walk_forced = force; }

}  // namespace backupkit
