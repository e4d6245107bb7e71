#include "native/extension/unpack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <string>
#include <utility>

#include "native/base/syscall.h"
#include "native/io/path.h"
#include "native/manifest/index.h"

namespace backupkit {
namespace {

constexpr const char* kStaging = ".backup";
constexpr const char* kStaged = "entry";  // the one entry that is being made
constexpr mode_t kPrivate = 0700;

std::string base_name(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::string parent_name(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::array<timespec, 2> times_of(const Entry& entry) {
  timespec modified{};
  modified.tv_sec = entry.mtime.seconds;
  modified.tv_nsec = entry.mtime.nanoseconds;
  return {modified, modified};
}

// Owner before mode: chown(2) clears the set-id bits. Times last: both others move ctime only.
Result<void> set_metadata(BorrowedFd file, const Entry& entry) {
  if (::fchown(file.get(), static_cast<uid_t>(entry.uid), static_cast<gid_t>(entry.gid)) != 0) {
    return errno_failure("owner " + std::to_string(entry.uid) + ":" + std::to_string(entry.gid));
  }
  if (::fchmod(file.get(), entry.mode) != 0) return errno_failure("mode");
  if (::futimens(file.get(), times_of(entry).data()) != 0) return errno_failure("times");
  return {};
}

// The same for what cannot be opened without side effects, still under its staging name.
Result<void> set_node_metadata(BorrowedFd staging, const Entry& entry) {
  constexpr int kSelf = AT_SYMLINK_NOFOLLOW;
  if (::fchownat(staging.get(), kStaged, static_cast<uid_t>(entry.uid),
                 static_cast<gid_t>(entry.gid), kSelf) != 0) {
    return errno_failure("owner");
  }
  if (entry.type != EntryType::kSymlink && ::fchmodat(staging.get(), kStaged, entry.mode, 0) != 0) {
    return errno_failure("mode");
  }
  if (::utimensat(staging.get(), kStaged, times_of(entry).data(), kSelf) != 0) {
    return errno_failure("times");
  }
  return {};
}

// The same for a descriptor opened with O_PATH, on which fchmod(2) does not work.
Result<void> set_path_metadata(BorrowedFd file, const Entry& entry, bool is_link) {
  if (::fchownat(file.get(), "", static_cast<uid_t>(entry.uid), static_cast<gid_t>(entry.gid),
                 AT_EMPTY_PATH) != 0) {
    return errno_failure("owner");
  }
  const std::string self = "/proc/self/fd/" + std::to_string(file.get());
  if (!is_link && ::chmod(self.c_str(), entry.mode) != 0) return errno_failure("mode");
  if (::utimensat(file.get(), "", times_of(entry).data(), AT_EMPTY_PATH) != 0) {
    return errno_failure("times");
  }
  return {};
}

Result<void> check_path(const std::string& path) {
  const bool inner = is_inner_path(path);
  if (!inner || path == kStaging || path.starts_with(std::string(kStaging) + "/")) {
    return failure(Code::kInvalidArgument, "'" + path + "' is not a path inside the sandbox");
  }
  return {};
}

Result<void> named(Result<void> result, const Entry& entry) {
  if (!result) return failure(result.error().in("'" + entry.path + "'"));
  return result;
}

}  // namespace

Result<Unpacker> Unpacker::make(BorrowedFd sandbox) {
  if (auto removed = remove_tree(sandbox, kStaging); !removed) return failure(removed.error());
  auto staging = make_directories(sandbox, std::string(kStaging) + "/restore", kPrivate);
  if (!staging) return failure(staging.error());
  return Unpacker(sandbox, std::move(*staging));
}

Result<BorrowedFd> Unpacker::parent_of(const std::string& path) {
  const std::string wanted = parent_name(path);
  if (wanted.empty()) return sandbox_;
  if (parent_.is_open() && wanted == parent_path_) return parent_.borrow();
  auto made = make_directories(sandbox_, wanted, kPrivate);
  if (!made) return failure(made.error());
  parent_ = std::move(*made);
  parent_path_ = wanted;
  return parent_.borrow();
}

Result<void> Unpacker::put(const Entry& entry, TarReader& reader) {
  ++entries_;
  if (entry.type == EntryType::kDirectory) return named(put_directory(entry), entry);
  if (auto fits = check_path(entry.path); !fits) return fits;
  if (entry.type == EntryType::kHardLink) {
    links_.push_back(entry);
    return {};
  }
  auto staged = entry.type == EntryType::kFile ? make_staged(entry, reader) : make_node(entry);
  if (!staged) return named(std::move(staged), entry);
  return named(move_into_place(entry.path), entry);
}

Result<void> Unpacker::put_directory(const Entry& entry) {
  std::string path = entry.path;
  while (path.ends_with('/')) path.pop_back();
  if (path != ".") {
    if (auto fits = check_path(path); !fits) return fits;
    auto parent = parent_of(path);
    if (!parent) return failure(parent.error());
    const std::string name = base_name(path);
    struct stat found{};
    if (::fstatat(parent->get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0 &&
        !S_ISDIR(found.st_mode) && ::unlinkat(parent->get(), name.c_str(), 0) != 0) {
      return errno_failure("what is in its place");
    }
    if (::mkdirat(parent->get(), name.c_str(), kPrivate) != 0 && errno != EEXIST) {
      return errno_failure("make the directory");
    }
  }
  directories_[path] = entry;
  return {};
}

Result<void> Unpacker::make_staged(const Entry& entry, TarReader& reader) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const UniqueFd file(
      retry([&] { return ::openat(staging_.get(), kStaged, kFlags, mode_t{0600}); }));
  if (!file.is_open()) return errno_failure("create");
  if (auto copied = reader.copy_content(file.borrow()); !copied) return copied;
  return set_metadata(file.borrow(), entry);
}

Result<void> Unpacker::make_node(const Entry& entry) {
  int made = -1;
  switch (entry.type) {
    case EntryType::kSymlink:
      made = ::symlinkat(entry.link_target.c_str(), staging_.get(), kStaged);
      break;
    case EntryType::kFifo:
      made = ::mknodat(staging_.get(), kStaged, S_IFIFO | 0600, 0);
      break;
    case EntryType::kCharDevice:
    case EntryType::kBlockDevice: {
      const mode_t type = entry.type == EntryType::kCharDevice ? S_IFCHR : S_IFBLK;
      made = ::mknodat(staging_.get(), kStaged, type | 0600,
                       makedev(entry.device_major, entry.device_minor));
      break;
    }
    default:
      return failure(Code::kUnpackFailed, "an entry of a kind that cannot be restored");
  }
  if (made != 0) return errno_failure("create");
  return set_node_metadata(staging_.borrow(), entry);
}

Result<void> Unpacker::put_links() {
  for (const auto& link : links_) {
    if (auto put = put_link(link); !put) return put;
  }
  links_.clear();
  return {};
}

Result<void> Unpacker::settle(const Entry& entry) {
  if (entry.type == EntryType::kDirectory) {
    directories_[entry.path] = entry;
    return {};
  }
  if (auto fits = check_path(entry.path); !fits) return fits;
  auto file = open_beneath(sandbox_, entry.path, O_PATH | O_NOFOLLOW);
  if (!file) return named(failure(file.error()), entry);
  struct stat found{};
  if (::fstat(file->get(), &found) != 0) return named(errno_failure("look at it"), entry);
  const bool has_mode = S_ISLNK(found.st_mode) || (found.st_mode & 07777U) == entry.mode;
  const bool has_owner = found.st_uid == entry.uid && found.st_gid == entry.gid;
  const bool has_time = found.st_mtim.tv_sec == entry.mtime.seconds &&
                        found.st_mtim.tv_nsec == entry.mtime.nanoseconds;
  if (has_mode && has_owner && has_time) return {};
  return named(set_path_metadata(file->borrow(), entry, S_ISLNK(found.st_mode)), entry);
}

Result<void> Unpacker::put_link(const Entry& entry) {
  if (auto fits = check_path(entry.path); !fits) return fits;
  if (auto fits = check_path(entry.link_target); !fits) return fits;
  auto source = open_beneath(sandbox_, entry.link_target, O_PATH | O_NOFOLLOW);
  if (!source) return named(failure(source.error().in("its first name")), entry);
  auto first = parent_of(entry.link_target);
  if (!first) return named(failure(first.error()), entry);
  if (::linkat(first->get(), base_name(entry.link_target).c_str(), staging_.get(), kStaged, 0) !=
      0) {
    return named(errno_failure("link to '" + entry.link_target + "'"), entry);
  }
  return named(move_into_place(entry.path), entry);
}

Result<void> Unpacker::put_file(const Entry& entry, BorrowedFd file) {
  ++entries_;
  if (auto fits = check_path(entry.path); !fits) return fits;
  const std::string self = "/proc/self/fd/" + std::to_string(file.get());
  if (::linkat(AT_FDCWD, self.c_str(), staging_.get(), kStaged, AT_SYMLINK_FOLLOW) == 0) {
    if (auto set = set_metadata(file, entry); !set) return named(std::move(set), entry);
  } else if (auto copied = copy_staged(entry, file); !copied) {
    return named(std::move(copied), entry);
  }
  return named(move_into_place(entry.path), entry);
}

// For a file system without unnamed files: there a received file has lost its name for good.
Result<void> Unpacker::copy_staged(const Entry& entry, BorrowedFd file) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const UniqueFd copy(
      retry([&] { return ::openat(staging_.get(), kStaged, kFlags, mode_t{0600}); }));
  if (!copy.is_open()) return errno_failure("create");
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return errno_failure("rewind");
  if (auto copied = copier_.copy(file, copy.borrow()); !copied) return failure(copied.error());
  return set_metadata(copy.borrow(), entry);
}

Result<void> Unpacker::move_into_place(const std::string& path) {
  auto parent = parent_of(path);
  if (!parent) return failure(parent.error());
  const std::string name = base_name(path);
  if (::renameat(staging_.get(), kStaged, parent->get(), name.c_str()) != 0) {
    if (errno != EISDIR) return errno_failure("move into place");
    if (auto removed = remove_tree(*parent, name); !removed) return removed;
    if (::renameat(staging_.get(), kStaged, parent->get(), name.c_str()) != 0) {
      return errno_failure("move into place");
    }
  }
  // Between two names of one inode rename(2) does nothing and leaves both.
  if (::unlinkat(staging_.get(), kStaged, 0) != 0 && errno != ENOENT) {
    return errno_failure("clear the staging name");
  }
  return {};
}

Result<void> Unpacker::finish() {
  staging_.reset();
  if (auto removed = remove_tree(sandbox_, kStaging); !removed) return removed;
  for (auto last = directories_.rbegin(); last != directories_.rend(); ++last) {
    const auto& [path, entry] = *last;
    auto opened = open_beneath(sandbox_, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!opened) return named(failure(opened.error()), entry);
    if (auto set = set_metadata(opened->borrow(), entry); !set) return named(std::move(set), entry);
  }
  return {};
}

}  // namespace backupkit
