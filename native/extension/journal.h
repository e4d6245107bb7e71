// The journal of a restore: all that it is about to do to the sandbox. JSON, one object a line.
//
//   journal = head *step *change end
//   head    = { "journal": 1, "settings": text, "keeps"?: true }
//   step    = { "path": path, "new"?: inode, "old"?: inode }
//   change  = { "path": path, "before": metadata, "after"?: metadata }
//   metadata = { "mode": n, "uid": n, "gid": n, "mtime": [ seconds, nanoseconds ],
//                  "xattrs"?: { name: encoded } }
//   end     = { "end": lines before it, "hash": "xxh3:" 32hex of them }
//   path    = percent-encoded, relative to the sandbox
//   encoded = the value's bytes as hex digits
//
// `settings` are as the service gave them; `keeps`: what the app has in `.backup` outlasts it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backupkit/error.h"
#include "native/extension/metadata.h"

namespace backupkit {

// Puts something at `path`, takes something away from there, or both: one rename(2). An inode is 0
// where there is nothing.
struct Step {
  std::string path;
  uint64_t inode = 0;  // of what comes: it waits below `new` under the same path
  uint64_t old = 0;    // of what goes
  friend bool operator==(const Step&, const Step&) = default;
};

// Changes only the metadata of what is at `path` in the old and in the new state. Without
// `after`: a directory whose entries change, no more.
struct MetadataChange {
  std::string path;
  Metadata before;
  std::optional<Metadata> after;
  friend bool operator==(const MetadataChange&, const MetadataChange&) = default;
};

// No two steps are of one path, and none is below another's: they can be taken in any order.
struct Journal {
  std::string settings;
  bool keeps_directory = false;
  std::vector<Step> steps;
  std::vector<MetadataChange> changes;  // in walk order: a directory before what is in it
  friend bool operator==(const Journal&, const Journal&) = default;
};

[[nodiscard]] std::string write_journal(const Journal& journal);

// Error kIo: it is torn or was changed, and where.
[[nodiscard]] Result<Journal> read_journal(std::string_view text);

}  // namespace backupkit
