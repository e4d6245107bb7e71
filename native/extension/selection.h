// Which entries of the files that were handed over belong to a restore: what their manifests list.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/archive/tar_header.h"
#include "native/manifest/manifest.h"

namespace backupkit {

// Without any manifest everything belongs. Holds sixteen bytes for each row. A manifest is read
// from offset 0; its Errors are kUnpackFailed and say what is wrong with it.
class Selection {
 public:
  // Takes of the file `uri` what `manifest` lists; an empty one lists everything.
  [[nodiscard]] Result<void> read_own(const std::string& uri, BorrowedFd manifest);

  // Takes of every file what the complete manifest says is in it, and nothing else. An empty one,
  // or one of version 1, which does not say that, changes nothing.
  [[nodiscard]] Result<void> read_complete(BorrowedFd manifest);

  // Whether read_complete() found a manifest that says it.
  [[nodiscard]] bool is_complete() const { return complete_; }

  // The files that the complete manifest needs, with the first path in each.
  [[nodiscard]] const std::map<std::string, std::string>& needed() const { return needed_; }

  // The path that the complete manifest gives the big file `uri`, which may be another one than
  // when it was stored; none: it does not say.
  [[nodiscard]] const std::string* place_of(const std::string& uri) const;

  // `path` as an archive has it: a directory's may end with a slash.
  [[nodiscard]] bool takes(const std::string& uri, std::string_view path) const;

  // Notes an entry of the archive `uri` which takes() has let pass.
  void note(const std::string& uri, const Entry& entry);

  // Whether the last entry that was noted under the row's path has the row's owner, mode and time.
  [[nodiscard]] bool is_noted(const ManifestRow& row) const;
  // Whether that is so for every row.
  [[nodiscard]] bool are_all_noted() const;

 private:
  void need(const ManifestRow& row);

  struct Row {
    uint64_t path = 0;      // its hash
    uint64_t metadata = 0;  // likewise; the lowest bit: it is noted
  };

  using Rows = std::vector<Row>;  // sorted by path

  // Its row in `listed`, or null.
  [[nodiscard]] static auto* find(auto& listed, const std::string& uri, std::string_view path);

  std::map<std::string, Rows> listed_;  // by file
  std::map<std::string, std::string> needed_;
  std::map<std::string, std::string> places_;  // of the first file in each
  bool complete_ = false;
};

}  // namespace backupkit
