#include "native/io/xattr.h"

#include <fcntl.h>
#include <sys/types.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "native/base/hash.h"
#include "native/base/syscall.h"

namespace backupkit {
namespace {

constexpr size_t kUsualSize = 1024;  // of a list or a value, for which the stack has room
constexpr size_t kMaxList = 65536;   // the kernel's own limit

// An open file; an entry by its path, whose last component is not followed; or what is open with
// O_PATH, by its name below /proc, which leads to that very entry.
class Target {
 public:
  explicit Target(BorrowedFd file) : file_(file) {}
  // The same for one that was opened with O_PATH.
  static Target of_path(BorrowedFd file) {
    Target target(file);
    target.by_ = By::kSelf;
    target.path_ = "/proc/self/fd/" + std::to_string(file.get());
    return target;
  }
  Target(BorrowedFd parent, const std::string& name)
      : by_(By::kName), path_("/proc/self/fd/" + std::to_string(parent.get()) + "/" + name) {}

  [[nodiscard]] ssize_t list(char* list, size_t size) const {
    if (by_ == By::kFile) return ::flistxattr(file_.get(), list, size);
    return by_ == By::kName ? ::llistxattr(path_.c_str(), list, size)
                            : ::listxattr(path_.c_str(), list, size);
  }
  [[nodiscard]] ssize_t get(const char* name, char* value, size_t size) const {
    if (by_ == By::kFile) return ::fgetxattr(file_.get(), name, value, size);
    return by_ == By::kName ? ::lgetxattr(path_.c_str(), name, value, size)
                            : ::getxattr(path_.c_str(), name, value, size);
  }
  [[nodiscard]] int set(const char* name, const std::string& value) const {
    if (by_ == By::kFile) return ::fsetxattr(file_.get(), name, value.data(), value.size(), 0);
    return by_ == By::kName ? ::lsetxattr(path_.c_str(), name, value.data(), value.size(), 0)
                            : ::setxattr(path_.c_str(), name, value.data(), value.size(), 0);
  }
  [[nodiscard]] int remove(const char* name) const {
    if (by_ == By::kFile) return ::fremovexattr(file_.get(), name);
    return by_ == By::kName ? ::lremovexattr(path_.c_str(), name)
                            : ::removexattr(path_.c_str(), name);
  }

 private:
  enum class By { kFile, kName, kSelf };
  By by_ = By::kFile;
  BorrowedFd file_;
  std::string path_;
};

// What `call` writes into a buffer that is long enough: a short one first. A second ERANGE would
// be a length beyond the kernel's own limit.
template <typename Call>
Result<std::string> answer_of(size_t limit, Call&& call) {
  std::array<char, kUsualSize> usual;  // NOLINT(*-member-init): the kernel fills it
  ssize_t size = retry([&] { return call(usual.data(), usual.size()); });
  if (size >= 0) return std::string(usual.data(), static_cast<size_t>(size));
  if (errno != ERANGE) return errno_failure("extended attributes");
  std::string longer(limit, '\0');
  size = retry([&] { return call(longer.data(), longer.size()); });
  if (size < 0) return errno_failure("extended attributes");
  longer.resize(static_cast<size_t>(size));
  return longer;
}

Result<Xattrs> read(const Target& target) {
  Xattrs xattrs;
  // Asked for the length first, the kernel needs no memory: most entries have none.
  if (target.list(nullptr, 0) == 0) return xattrs;
  const auto list =
      answer_of(kMaxList, [&](char* room, size_t size) { return target.list(room, size); });
  if (!list) {
    if (list.error().sys_errno == EOPNOTSUPP) return xattrs;
    return failure(list.error());
  }
  size_t bytes = 0;
  for (size_t at = 0; at < list->size();) {
    const std::string name = list->c_str() + at;
    at += name.size() + 1;
    auto value = answer_of(kMaxXattrValue, [&](char* room, size_t size) {
      return target.get(name.c_str(), room, size);
    });
    if (!value && value.error().sys_errno == ENODATA) continue;  // removed since it was listed
    if (!value) return failure(value.error().in("'" + name + "'"));
    bytes += name.size() + value->size();
    if (bytes > kMaxXattrBytes) return failure(Error::from_errno(E2BIG, "extended attributes"));
    xattrs.emplace(name, std::move(*value));
  }
  return xattrs;
}

bool is_the_systems(std::string_view name) {
  return name.starts_with("security.") && name != "security.capability";
}

Result<void> write(const Target& target, const Xattrs& wanted) {
  if (!are_xattrs(wanted)) return failure(Code::kInvalidArgument, "no extended attributes");
  const auto present = read(target);
  if (!present) return failure(present.error());
  for (const auto& [name, value] : *present) {
    if (wanted.contains(name) || is_the_systems(name)) continue;
    if (target.remove(name.c_str()) != 0 && errno != ENODATA) {
      return errno_failure("removing the extended attribute '" + name + "'");
    }
  }
  for (const auto& [name, value] : wanted) {
    const auto old = present->find(name);
    if (old != present->end() && old->second == value) continue;
    if (target.set(name.c_str(), value) != 0) {
      return errno_failure("the extended attribute '" + name + "'");
    }
  }
  return {};
}

// Whether the error is that of a call for files, of one that was opened with O_PATH.
bool needs_path(BorrowedFd file, const Error& error) {
  if (error.sys_errno != EBADF) return false;
  const int flags = ::fcntl(file.get(), F_GETFL);
  return flags >= 0 && (flags & O_PATH) != 0;
}

}  // namespace

bool are_xattrs(const Xattrs& xattrs) {
  size_t bytes = 0;
  for (const auto& [name, value] : xattrs) {
    if (name.empty() || name.size() > kMaxXattrName || name.find('\0') != std::string::npos) {
      return false;
    }
    if (value.size() > kMaxXattrValue) return false;
    bytes += name.size() + value.size();
    if (bytes > kMaxXattrBytes) return false;
  }
  return true;
}

std::string digest_of(const Xattrs& xattrs) {
  if (xattrs.empty()) return "";
  Hasher hasher;
  for (const auto& [name, value] : xattrs) {
    std::string text = name;
    text.append(1, '\0').append(std::to_string(value.size())).append(1, '\0').append(value);
    hasher.update(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  }
  return hasher.finish();
}

bool is_label(std::string_view name) { return name == "security.selinux"; }

Result<Xattrs> read_xattrs(BorrowedFd parent, const std::string& name) {
  return read(Target(parent, name));
}

Result<Xattrs> read_xattrs(BorrowedFd file) {
  auto xattrs = read(Target(file));
  if (xattrs || !needs_path(file, xattrs.error())) return xattrs;
  return read(Target::of_path(file));
}

Result<void> write_xattrs(BorrowedFd parent, const std::string& name, const Xattrs& xattrs) {
  return write(Target(parent, name), xattrs);
}

Result<void> write_xattrs(BorrowedFd file, const Xattrs& xattrs) {
  auto written = write(Target(file), xattrs);
  if (written || !needs_path(file, written.error())) return written;
  return write(Target::of_path(file), xattrs);
}

}  // namespace backupkit
