// Extended attributes: ACLs, capabilities and labels are some of them.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

// Values by full name: "user.comment", "system.posix_acl_access", "security.capability".
using Xattrs = std::map<std::string, std::string, std::less<>>;

inline constexpr size_t kMaxXattrName = 255;            // the kernel's own limit
inline constexpr size_t kMaxXattrValue = 65536;         // likewise
inline constexpr size_t kMaxXattrBytes = 1024UL << 10;  // of all names and values of one entry

// True for what may be a set of attributes: names of 1 to kMaxXattrName bytes without NUL, values
// and their sum within the limits.
[[nodiscard]] bool are_xattrs(const Xattrs& xattrs);

// True for the label by which SELinux knows a file. Where SELinux runs, every file has one.
[[nodiscard]] bool is_label(std::string_view name);

// "" where there are none, else the XXH3-128 (native/base/hash.h) of, for each attribute in the
// byte order of the names: its name, NUL, how many bytes its value has in decimal digits, NUL, the
// value.
[[nodiscard]] std::string digest_of(const Xattrs& xattrs);

// The attributes of `name` in `parent`, an entry of any type, which is neither opened nor followed;
// "." is `parent` itself. Needs /proc. A file system without attributes has none. One system call
// where there are none. Error E2BIG: more than kMaxXattrBytes.
[[nodiscard]] Result<Xattrs> read_xattrs(BorrowedFd parent, const std::string& name);

// The same for what is open, also with O_PATH.
[[nodiscard]] Result<Xattrs> read_xattrs(BorrowedFd file);

// Makes the attributes of the entry exactly `xattrs`: sets what differs, removes what is too much.
// What a security module keeps (`security.*` but the capabilities) stays where it is not asked for.
// chown(2) takes capabilities away and an ACL carries the mode's bits: owner first, then mode, then
// this. Error: names the attribute; others may have been set. Error kInvalidArgument: not
// are_xattrs().
[[nodiscard]] Result<void> write_xattrs(BorrowedFd parent, const std::string& name,
                                        const Xattrs& xattrs);

// The same for what is open, also with O_PATH.
[[nodiscard]] Result<void> write_xattrs(BorrowedFd file, const Xattrs& xattrs);

}  // namespace backupkit
