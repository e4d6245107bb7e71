// The big files of a backup: each is handed out by a descriptor of the file itself.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "native/extension/file_hasher.h"
#include "native/extension/link.h"
#include "native/manifest/index.h"
#include "native/manifest/manifest.h"
#include "native/manifest/scan.h"

namespace backupkit {

// Not thread-safe.
class BigFiles {
 public:
  struct Options {
    uint64_t seed = 0;  // of the names
    bool hashes = true;
    bool with_manifests = false;  // each comes with the manifest of its own row
  };

  // What is sent is put into `index`. It, `link` and `hasher` outlive this.
  BigFiles(const Options& options, Link& link, FileHasher& hasher, std::vector<IndexItem>& index)
      : options_(options), link_(link), hasher_(hasher), index_(index) {}

  // Sends `file`, which is what `found` says, and sets what `row` has of it: `in` and the hash.
  [[nodiscard]] Result<void> add(const ScanEntry& found, UniqueFd file, ManifestRow& row);

 private:
  [[nodiscard]] std::string name(const ScanEntry& found);
  [[nodiscard]] Result<void> send(const IndexItem& item, const ManifestRow& row, BorrowedFd file);

  Options options_;
  Link& link_;
  FileHasher& hasher_;
  std::vector<IndexItem>& index_;
  std::set<std::string> names_;
};

}  // namespace backupkit
