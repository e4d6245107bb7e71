// The records that say of an entry what its header cannot.
//
//   records = *record          record = length " " key "=" value "\n"   ; length counts the whole
//                                                                        ; record, decimal
//
// Written only where the header does not suffice: path and linkpath (with hdrcharset=BINARY where
// one is not UTF-8), size, uid, gid, mtime, GNU.sparse.* (see sparse.h), and
//   SCHILY.xattr.<name>     the value of an extended attribute as it is; `%` and `=` in the name as
//                           %25 and %3D, which GNU tar undoes and bsdtar does not
//   SCHILY.acl.access, SCHILY.acl.default   an ACL as text, beside its SCHILY.xattr record: GNU tar
//                           with --acls and bsdtar take an ACL from here alone
//
// Read are these, and SCHILY.devmajor, SCHILY.devminor, LIBARCHIVE.xattr.<name %-encoded> in
// base64. Of one attribute SCHILY.xattr counts before the others. Whatever else there is is passed
// over.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "backupkit/error.h"
#include "native/archive/tar_header.h"

namespace backupkit {

// The records by key; a later one of the same key wins, and an empty value takes a key back, except
// of an attribute, which may be empty. The many GNU.sparse.offset and GNU.sparse.numbytes of one
// entry are together one GNU.sparse.map.
using PaxRecords = std::map<std::string, std::string, std::less<>>;

// Appends a record to `text`.
void append_record(std::string& text, std::string_view key, std::string_view value);

// Appends the records of an entry's attributes to `text`.
void append_xattrs(std::string& text, const Xattrs& xattrs);

// A time as records have it: decimal, with a fraction where there is one; -0.25 is {-1, 750000000}.
[[nodiscard]] std::string time_text(Timestamp time);

// Adds the records in `text` to `records`. Error kUnpackFailed: text that is not made of records.
[[nodiscard]] Result<void> decode_records(std::string_view text, PaxRecords& records);

// Puts what `records` say over the header's fields, but for GNU.sparse.*. Error kUnpackFailed: a
// bad number, path or attribute.
[[nodiscard]] Result<void> apply_records(const PaxRecords& records, Entry& entry);

}  // namespace backupkit
