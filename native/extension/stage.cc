#include "native/extension/stage.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "native/base/syscall.h"
#include "native/extension/backup_directory.h"
#include "native/extension/sqlite_names.h"
#include "native/io/holes.h"
#include "native/io/path.h"
#include "native/io/read.h"
#include "native/manifest/index.h"
#include "native/manifest/rules.h"

namespace backupkit {
namespace {

constexpr mode_t kPrivate = 0700;
constexpr size_t kMostNames = 10'000;

// Whether the entries of a sandbox may have such a path.
bool is_ours(const std::string& path) { return is_inner_path(path) && !is_backup_dir(path); }

std::string self_name(BorrowedFd file) { return "/proc/self/fd/" + std::to_string(file.get()); }

// Whether `name` in `parent` is the very file that the reader is at, if it has one name or, where
// `may_be_linked`, more.
Result<bool> is_same(BorrowedFd parent, const std::string& name, bool may_be_linked,
                     const Entry& entry, const TarReader& reader, BorrowedFd archive) {
  if (!entry.holes.empty()) return false;
  struct stat found{};
  if (::fstatat(parent.get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) return false;
  const bool may_be = S_ISREG(found.st_mode) && (may_be_linked || found.st_nlink == 1) &&
                      static_cast<uint64_t>(found.st_size) == entry.size &&
                      found.st_mtim.tv_sec == entry.mtime.seconds;
  if (!may_be) return false;
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  const UniqueFd file(retry([&] { return ::openat(parent.get(), name.c_str(), kFlags); }));
  if (!file.is_open()) return false;
  auto metadata = read_metadata(file.borrow());
  if (!metadata || *metadata != metadata_of(entry)) return false;
  auto holes = holes_of(file.borrow(), entry.size);
  if (!holes || !holes->empty()) return false;
  const auto offset = reader.content_offset();
  if (!offset) return failure(offset.error());
  auto same = common_length(file.borrow(), archive, *offset, entry.size);
  if (!same) return failure(same.error());
  return *same == entry.size;
}

bool is_free(BorrowedFd parent, const std::string& name) {
  struct stat found{};
  return ::fstatat(parent.get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
}

Result<void> named(Result<void> result, const Entry& entry) {
  if (!result) return failure(result.error().in("'" + entry.path + "'"));
  return result;
}

}  // namespace

// Refuses a path that the entry must not have, and gives it the one that it will have.
Result<void> Stage::admit(Entry& entry) {
  while (entry.type == EntryType::kDirectory && entry.path.ends_with('/')) entry.path.pop_back();
  const bool is_top = entry.type == EntryType::kDirectory && entry.path == ".";
  const bool is_link = entry.type == EntryType::kHardLink;
  for (const auto* path : {&entry.path, is_link ? &entry.link_target : &entry.path}) {
    if (is_top || is_ours(*path)) continue;
    return failure(Code::kInvalidArgument, "'" + *path + "' is not a path inside the sandbox");
  }
  const auto& prefix = options_.prefix;
  if (!prefix.empty()) {
    entry.path = is_top ? prefix.substr(0, prefix.size() - 1) : prefix + entry.path;
    if (is_link) entry.link_target = prefix + entry.link_target;
  }
  // What comes under the path of a file that is not made yet comes after it.
  if (coming_.contains(entry.path)) {
    if (auto made = await_files(); !made) return made;
  }
  if (options_.drops_labels) {
    std::erase_if(entry.xattrs, [](const auto& xattr) { return is_label(xattr.first); });
  }
  if (options_.keeps_paths || is_sqlite_sidecar(entry.path)) paths_.insert(entry.path);
  return {};
}

Result<BorrowedFd> Stage::staged_parent_of(const std::string& path) {
  const auto wanted = parent_name(path);
  if (!staged_.is_known || staged_.path != wanted) {
    if (options_.resumes) {
      if (auto unlocked = unlock_staged(wanted); !unlocked) return failure(unlocked.error());
    }
    auto made = make_directories(stage_, wanted.empty() ? "." : wanted, kPrivate);
    if (!made) return failure(made.error());
    staged_ = {wanted,
               std::make_shared<UniqueFd>(std::move(*made)),
               true,
               !wanted.empty() && wanted == fresh_,
               {}};
    fresh_.clear();
  }
  return staged_.directory->borrow();
}

// An interrupted restore may have given the directories on the way the modes that they will have.
Result<void> Stage::unlock_staged(const std::string& path) {
  if (::geteuid() == 0) return {};
  for (size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end + 1);
    auto directory = open_beneath(stage_, path.substr(0, end), O_PATH | O_DIRECTORY);
    if (!directory) return {};  // there is none, or what is there gives way
    if (auto unlocked = unlock(directory->borrow()); !unlocked) return unlocked;
  }
  return {};
}

// The directory in the sandbox; not open where there is none that can be looked into.
Result<BorrowedFd> Stage::present_parent_of(const std::string& path) {
  const auto wanted = parent_name(path);
  if (wanted.empty()) return sandbox_;
  if (!present_.is_known || present_.path != wanted) {
    auto opened = open_beneath(sandbox_, wanted, O_PATH | O_DIRECTORY);
    auto directory = std::make_shared<UniqueFd>(opened ? std::move(*opened) : UniqueFd());
    present_ = {wanted, std::move(directory), true, false, {}};
  }
  return present_.directory->borrow();
}

Result<void> Stage::put(Entry entry, TarReader& reader, BorrowedFd archive) {
  ++entries_;
  if (auto fits = admit(entry); !fits) return fits;
  switch (entry.type) {
    case EntryType::kDirectory:
      return named(put_directory(entry), entry);
    case EntryType::kHardLink:
      links_.push_back(std::move(entry));
      return {};
    case EntryType::kFile:
      return named(put_regular(entry, reader, archive), entry);
    default:
      return named(make_node(entry), entry);
  }
}

Result<void> Stage::put_regular(const Entry& entry, TarReader& reader, BorrowedFd archive) {
  if (auto noted = note_database(entry, reader, archive); !noted) return noted;
  auto present = is_present(entry, reader, archive);
  if (!present) return failure(present.error());
  if (*present) return clear_staged(entry.path);
  auto staged = is_staged(entry, reader, archive);
  if (!staged) return failure(staged.error());
  return *staged ? Result<void>{} : make_file(entry, reader, archive);
}

Result<void> Stage::put_directory(const Entry& entry) {
  directories_[entry.path] = metadata_of(entry);
  if (entry.path == ".") return {};
  auto parent = staged_parent_of(entry.path);
  if (!parent) return failure(parent.error());
  const auto name = base_name(entry.path);
  (void)take_name(*parent, entry.path);
  if (::mkdirat(parent->get(), name.c_str(), kPrivate) == 0) {
    fresh_ = entry.path;
    return {};
  }
  if (errno != EEXIST) return errno_failure("make the directory");
  auto there = identity_of(*parent, name);
  if (!there) return failure(there.error());
  if (S_ISDIR(there->type)) return {};
  has_replaced_ = true;
  if (auto cleared = remove_tree(*parent, name); !cleared) return cleared;
  if (::mkdirat(parent->get(), name.c_str(), kPrivate) != 0) {
    return errno_failure("make the directory");
  }
  return {};
}

// Takes away what an earlier entry, or restore, had under the same path.
Result<void> Stage::clear_place(BorrowedFd parent, const std::string& path) {
  if (auto made = await_files(); !made) return made;
  has_replaced_ = true;
  directories_.erase(path);
  const auto below = path + "/";
  auto listed = directories_.lower_bound(below);
  while (listed != directories_.end() && listed->first.starts_with(below)) {
    listed = directories_.erase(listed);
  }
  return remove_tree(parent, base_name(path));
}

// The same, where that may be nothing.
Result<void> Stage::clear_staged(const std::string& path) {
  auto staged = find_staged(path);
  if (!staged) return failure(staged.error());
  if (!staged->is_open()) return {};
  auto parent = staged_parent_of(path);
  if (!parent) return failure(parent.error());
  return clear_place(*parent, path);
}

Result<UniqueFd> Stage::create(const std::string& path) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  auto parent = staged_parent_of(path);
  if (!parent) return failure(parent.error());
  const auto name = base_name(path);
  const auto make = [&](BorrowedFd directory) {
    return retry([&] { return ::openat(directory.get(), name.c_str(), kFlags, mode_t{0600}); });
  };
  UniqueFd file(make(*parent));
  if (!file.is_open() && errno == EEXIST) {
    if (auto cleared = clear_place(*parent, path); !cleared) return failure(cleared.error());
    file.reset(make(*parent));
  }
  if (!file.is_open()) return errno_failure("create");
  return file;
}

// Whether nothing has the path, whose directory is held and where something is made now. To look at
// each name is to wait for the threads that make files in the same directory.
bool Stage::take_name(BorrowedFd parent, const std::string& path) {
  auto name = base_name(path);
  staged_.is_fresh &= staged_.names.size() < kMostNames;
  if (!staged_.is_fresh) return is_free(parent, name);
  return staged_.names.insert(std::move(name)).second;
}

Result<void> Stage::make_room(BorrowedFd parent, const std::string& path) {
  return take_name(parent, path) ? Result<void>{} : clear_place(parent, path);
}

Result<void> Stage::await_files() {
  coming_.clear();
  return maker_.finish();
}

Result<void> Stage::make_file(const Entry& entry, TarReader& reader, BorrowedFd archive) {
  auto parent = staged_parent_of(entry.path);
  if (!parent) return failure(parent.error());
  const auto offset = reader.content_offset();
  if (!offset) return failure(offset.error());
  if (take_name(*parent, entry.path) && entry.holes.empty()) {
    auto content = reader.keep_content();
    if (!content) return failure(content.error());
    bytes_ += entry.size;
    coming_.insert(entry.path);
    return maker_.add({staged_.directory, base_name(entry.path), entry.path, metadata_of(entry),
                       archive, *offset, entry.size, std::move(*content)});
  }
  auto file = create(entry.path);
  if (!file) return failure(file.error());
  if (auto copied = reader.copy_content(file->borrow()); !copied) return copied;
  bytes_ += entry.size;
  return set_metadata(file->borrow(), metadata_of(entry));
}

Result<void> Stage::make_node(const Entry& entry) {
  auto parent = staged_parent_of(entry.path);
  if (!parent) return failure(parent.error());
  const auto name = base_name(entry.path);
  if (auto free = make_room(*parent, entry.path); !free) return free;
  int made = -1;
  switch (entry.type) {
    case EntryType::kSymlink:
      made = ::symlinkat(entry.link_target.c_str(), parent->get(), name.c_str());
      break;
    case EntryType::kFifo:
      made = ::mknodat(parent->get(), name.c_str(), S_IFIFO | 0600, 0);
      break;
    case EntryType::kCharDevice:
    case EntryType::kBlockDevice: {
      const mode_t type = entry.type == EntryType::kCharDevice ? S_IFCHR : S_IFBLK;
      made = ::mknodat(parent->get(), name.c_str(), type | 0600,
                       makedev(entry.device_major, entry.device_minor));
      break;
    }
    default:
      return failure(Code::kUnpackFailed, "an entry of a kind that cannot be restored");
  }
  if (made != 0) return errno_failure("create");
  auto node = open_entry(*parent, name);
  if (!node) return failure(node.error());
  return set_metadata(node->borrow(), metadata_of(entry));
}

// Whether the sandbox has that very file already. One with more names is not looked at: the others
// may be none of the backup's.
Result<bool> Stage::is_present(const Entry& entry, const TarReader& reader, BorrowedFd archive) {
  auto parent = present_parent_of(entry.path);
  if (!parent) return failure(parent.error());
  if (!parent->is_open()) return false;
  return is_same(*parent, base_name(entry.path), false, entry, reader, archive);
}

// Whether an interrupted restore has made that very file already.
Result<bool> Stage::is_staged(const Entry& entry, const TarReader& reader, BorrowedFd archive) {
  if (!options_.resumes) return false;
  auto parent = staged_parent_of(entry.path);
  if (!parent) return failure(parent.error());
  return is_same(*parent, base_name(entry.path), true, entry, reader, archive);
}

Result<void> Stage::put_links() {
  if (auto made = await_files(); !made) return made;
  for (const auto& link : links_) {
    if (auto made = make_link(link); !made) return named(std::move(made), link);
  }
  links_.clear();
  return {};
}

Result<void> Stage::put_link(Entry entry) {
  if (auto fits = admit(entry); !fits) return fits;
  return named(make_link(entry), entry);
}

Result<void> Stage::make_link(const Entry& entry) {
  const auto& target = entry.link_target;
  auto staged = find_staged(target);
  if (!staged) return failure(staged.error());
  const auto folder = parent_name(target);
  auto first = open_beneath(staged->is_open() ? stage_ : sandbox_, folder.empty() ? "." : folder,
                            O_PATH | O_DIRECTORY);
  if (!first) return failure(first.error().in("its first name"));
  auto parent = staged_parent_of(entry.path);
  if (!parent) return failure(parent.error());
  const auto name = base_name(entry.path);
  if (auto free = make_room(*parent, entry.path); !free) return free;
  if (::linkat(first->get(), base_name(target).c_str(), parent->get(), name.c_str(), 0) != 0) {
    return errno_failure("link to '" + target + "'");
  }
  return {};
}

Result<void> Stage::put_file(Entry entry, BorrowedFd file) {
  if (auto fits = admit_file(entry, file); !fits) return fits;
  return named(place_file(entry, file), entry);
}

Result<void> Stage::put_copy(Entry entry, BorrowedFd file) {
  if (auto fits = admit_file(entry, file); !fits) return fits;
  bytes_ += entry.size;
  return named(copy_file(entry, file), entry);
}

Result<void> Stage::admit_file(Entry& entry, BorrowedFd file) {
  ++entries_;
  if (auto fits = admit(entry); !fits) return fits;
  const auto is_database = has_sqlite_database(file, 0);
  if (!is_database) return named(failure(is_database.error()), entry);
  if (*is_database) databases_.push_back(entry.path);
  return {};
}

Result<void> Stage::place_file(const Entry& entry, BorrowedFd file) {
  auto parent = staged_parent_of(entry.path);
  if (!parent) return failure(parent.error());
  const auto name = base_name(entry.path);
  if (auto free = make_room(*parent, entry.path); !free) return free;
  if (::linkat(AT_FDCWD, self_name(file).c_str(), parent->get(), name.c_str(), AT_SYMLINK_FOLLOW) !=
      0) {
    return copy_file(entry, file);
  }
  if (!entry.holes.empty()) {
    const UniqueFd writable(
        retry([&] { return ::open(self_name(file).c_str(), O_RDWR | O_CLOEXEC); }));
    if (!writable.is_open()) return errno_failure("open it to write");
    if (auto made = make_holes(writable.borrow(), entry.holes); !made) return made;
  }
  return set_metadata(file, metadata_of(entry));
}

// Also for a file system without unnamed files: there a received file has lost its name for good.
Result<void> Stage::copy_file(const Entry& entry, BorrowedFd file) {
  auto copy = create(entry.path);
  if (!copy) return failure(copy.error());
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return errno_failure("rewind");
  if (auto copied = copier_.copy(file, copy->borrow()); !copied) return failure(copied.error());
  if (auto made = make_holes(copy->borrow(), entry.holes); !made) return made;
  return set_metadata(copy->borrow(), metadata_of(entry));
}

// What the stage has at `path`, not followed; not open where it has nothing there.
Result<UniqueFd> Stage::find_staged(const std::string& path) {
  auto found = open_beneath(stage_, path, O_PATH | O_NOFOLLOW);
  if (found) return found;
  const int error = found.error().sys_errno;
  if (error == ENOENT || error == ENOTDIR || error == ELOOP) return UniqueFd();
  return found;
}

Result<void> Stage::settle(Entry entry) {
  const bool is_link = entry.type == EntryType::kHardLink;
  if (is_link) entry.type = EntryType::kFile;  // it has the metadata of any other name
  if (auto fits = admit(entry); !fits) return fits;
  if (const auto listed = directories_.find(entry.path); listed != directories_.end()) {
    auto xattrs = std::move(listed->second.xattrs);  // a row does not say them
    listed->second = metadata_of(entry);
    listed->second.xattrs = std::move(xattrs);
    return {};
  }
  auto staged = find_staged(entry.path);
  if (!staged) return failure(staged.error());
  if (!staged->is_open() || entry.type == EntryType::kDirectory) {
    return named(settle_present(entry), entry);
  }
  auto metadata = read_metadata(staged->borrow());
  if (!metadata) return named(failure(metadata.error()), entry);
  auto wanted = metadata_of(entry);
  wanted.xattrs = metadata->xattrs;
  if (entry.type == EntryType::kSymlink) wanted.mode = metadata->mode;
  if (wanted == *metadata) return {};
  return named(set_metadata(staged->borrow(), wanted), entry);
}

Result<void> Stage::settle_present(const Entry& entry) {
  auto present = open_beneath(sandbox_, entry.path, O_PATH | O_NOFOLLOW);
  if (!present) return failure(present.error());
  auto before = read_metadata(present->borrow());
  if (!before) return failure(before.error());
  auto after = metadata_of(entry);
  after.xattrs = before->xattrs;
  if (entry.type == EntryType::kSymlink) after.mode = before->mode;
  if (entry.type == EntryType::kDirectory) {
    directories_[entry.path] = std::move(after);
  } else if (after != *before) {
    changes_[entry.path] = {entry.path, std::move(*before), std::move(after)};
  }
  return {};
}

// The deepest first, as each of them may become one that leads nowhere for its owner.
Result<void> Stage::finish() {
  if (auto made = await_files(); !made) return made;
  staged_ = {};
  constexpr int kFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW;
  for (auto last = directories_.rbegin(); last != directories_.rend(); ++last) {
    const auto& [path, metadata] = *last;
    if (open_beneath(sandbox_, path, kFlags)) continue;  // it stays, and this one is not needed
    auto directory = open_beneath(stage_, path, kFlags);
    if (!directory) return failure(directory.error());
    if (auto set = set_metadata(directory->borrow(), metadata); !set) {
      return failure(set.error().in("'" + path + "'"));
    }
  }
  return {};
}

Result<void> Stage::note_database(const Entry& entry, TarReader& reader, BorrowedFd archive) {
  if (!entry.holes.empty() || entry.size < kSqliteMagic.size()) return {};
  const auto begin = reader.peek(kSqliteMagic.size());
  if (!begin) return failure(begin.error());
  Result<bool> is_database = std::ranges::equal(*begin, kSqliteMagic);
  if (begin->size() < kSqliteMagic.size()) {
    const auto offset = reader.content_offset();
    if (!offset) return failure(offset.error());
    is_database = has_sqlite_database(archive, *offset);
  }
  if (!is_database) return failure(is_database.error());
  if (*is_database) databases_.push_back(entry.path);
  return {};
}

}  // namespace backupkit
