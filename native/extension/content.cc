#include "native/extension/content.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <functional>
#include <utility>

#include "native/base/syscall.h"
#include "native/extension/attributes.h"
#include "native/io/tmpfile.h"
#include "native/manifest/change.h"

namespace backupkit {
namespace {

std::function<void(BorrowedFd)> second_look_hook;

bool is_same(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace

Result<Content> Content::open(ScanEntry& found, Labels labels) {
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  Content content(labels);
  content.file_.reset(
      retry([&] { return ::openat(found.parent.get(), found.name.c_str(), kFlags); }));
  if (!content.file_.is_open()) return errno_failure(found.path);
  if (auto looked = content.look(found); !looked) return failure(looked.error());
  return content;
}

Result<Content> Content::of_copy(BorrowedFd copy) {
  auto opened = reopen_readonly(copy);
  if (!opened) return failure(opened.error());
  Content content(Labels::kKeep);
  content.file_ = std::move(*opened);
  content.copy_ = true;
  return content;
}

Result<void> Content::reopen(ScanEntry& found) {
  auto again = reopen_readonly(file_.borrow());
  if (!again) return failure(again.error());
  file_ = std::move(*again);
  return look(found);
}

Result<void> Content::look(ScanEntry& found) {
  timespec now{};
  (void)::clock_gettime(CLOCK_REALTIME, &now);  // it cannot fail
  if (::fstat(file_.get(), &status_) != 0) return errno_failure(found.path);
  if (!S_ISREG(status_.st_mode)) return failure(Error::from_errno(ENOENT, found.path));
  fill(found, status_);
  young_ = is_racy(found, {now.tv_sec, static_cast<uint32_t>(now.tv_nsec)});
  return read_attributes(found, file_.borrow(), labels_);
}

bool Content::is_unchanged() const {
  if (copy_) return true;
  if (second_look_hook) second_look_hook(file_.borrow());
  struct stat now{};
  if (::fstat(file_.get(), &now) != 0) return false;
  if (now.st_size != status_.st_size || !is_same(now.st_mtim, status_.st_mtim)) return false;
  return is_same(now.st_ctim, status_.st_ctim) || now.st_nlink != status_.st_nlink;
}

bool is_gone(int sys_errno) {
  // ELOOP, ENXIO and EISDIR: it was replaced by a link, a socket or a directory.
  return sys_errno == ENOENT || sys_errno == ELOOP || sys_errno == ENXIO || sys_errno == EISDIR;
}

Entry header_of(const ScanEntry& found) {
  Entry entry;
  entry.path = found.path;
  entry.type = entry_type(found.mode).value_or(EntryType::kFile);
  entry.mode = found.mode & 07777U;
  entry.uid = found.uid;
  entry.gid = found.gid;
  entry.size = entry.type == EntryType::kFile ? found.size : 0;
  entry.mtime = found.mtime;
  entry.link_target = found.link_target;
  entry.device_major = found.device_major;
  entry.device_minor = found.device_minor;
  entry.xattrs = found.xattrs;
  entry.holes = found.holes;
  return entry;
}

void on_second_look(std::function<void(BorrowedFd)> hook) { second_look_hook = std::move(hook); }

}  // namespace backupkit
