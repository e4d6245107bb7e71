// manage.json, the index of one bundle's backup.
//
//   index = [ *item ]
//   item  = { "fileName": name, "encodeFlag"?: 1, "size": n, "hash": text, "entries"?: n,
//             "information": { "path": text, "stat": { "st_size": n, "st_mode": n,
//                 "st_atim": time, "st_mtim": time } },
//             "isUserTar": bool, "isBigFile": bool, "uid"?: n, "gid"?: n, "links"?: [ *text ],
//             "xattrs"?: { *( name: base64 ) }, "holes"?: [ *[ offset, length ] ] }
//   time  = { "tv_sec": n, "tv_nsec": 0..999999999 }
//   name  = 1*255 of [0-9A-Za-z_.], not "." or ".."
//
// A part has entries, a big file has uid, gid and, where it has them, links, extended attributes
// and holes. With encodeFlag 1 the path, the links and the names of attributes are percent-encoded.
// A reader ignores what it does not know; what is marked with ? and size and hash may be absent, as
// in an index of the seed system.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "backupkit/error.h"
#include "native/base/timestamp.h"
#include "native/io/holes.h"
#include "native/io/xattr.h"

namespace backupkit {

inline constexpr size_t kMaxIndexItems = 1'000'000;

// One file of the backup. The `path` of a part is the part's own name, that of a big file its
// place in the sandbox when it was stored; a later manifest that has it may say another one.
struct IndexItem {
  std::string file_name;
  std::string path;
  uint64_t size = 0;
  uint32_t mode = 0;
  Timestamp access;
  Timestamp modification;
  bool is_user_tar = false;
  bool is_big_file = false;
  std::string hash;
  uint64_t entries = 0;
  uint64_t uid = 0;
  uint64_t gid = 0;
  std::vector<std::string> links;  // the other names of a big file
  Xattrs xattrs;                   // of a big file, as its holes
  std::vector<Extent> holes;
  friend bool operator==(const IndexItem&, const IndexItem&) = default;
};

// True for what may be the uri of a file: [0-9A-Za-z_.]{1,255}, not "." or "..".
[[nodiscard]] bool is_file_name(std::string_view name);

// True for a path inside a sandbox: relative, without NUL and without empty, "." or ".." parts.
[[nodiscard]] bool is_inner_path(std::string_view path);

[[nodiscard]] std::string write_index(const std::vector<IndexItem>& items);

// The items in their order. Error kUnpackFailed: text that is not an index, a name or path that is
// not allowed, one file name twice; the item's number is in the message.
[[nodiscard]] Result<std::vector<IndexItem>> read_index(std::string_view json);

}  // namespace backupkit
