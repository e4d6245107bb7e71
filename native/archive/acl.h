// A POSIX ACL in its two forms.
//
//   xattr = version entry...           ; the value of system.posix_acl_access and _default
//           version = 2, 32 bits; entry = tag[2] permissions[2] id[4], all little-endian
//   text  = entry *( ( "," | "\n" ) entry )
//           entry = tag ":" [ id ] ":" ( "r" | "-" ) ( "w" | "-" ) ( "x" | "-" ) [ ":" id ]
//           tag = "user" | "group" | "mask" | "other"
//
// In archives GNU tar and star know the text as SCHILY.acl.*, and so does bsdtar, which takes no
// ACL from an extended attribute. Names stand for ids there; star and bsdtar put the id at the end.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace backupkit {

inline constexpr std::string_view kAccessAcl = "system.posix_acl_access";
inline constexpr std::string_view kDefaultAcl = "system.posix_acl_default";

// The text, with numbers for users and groups; nothing where `xattr` is not an ACL.
[[nodiscard]] std::optional<std::string> acl_text(std::string_view xattr);

// The value of the attribute; nothing where `text` is not an ACL, or names somebody without an id:
// a name means nothing here.
[[nodiscard]] std::optional<std::string> acl_xattr(std::string_view text);

}  // namespace backupkit
