// Entries with more than one name: a backup has them by the first, and the others as links to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "native/extension/small_files.h"
#include "native/manifest/scan.h"

namespace backupkit {

struct FirstName {
  std::string path;
  std::optional<size_t> item{};    // its place in the index, if it is big and sent by this run
  bool sent = true;                // by this run
  std::optional<Handling> lost{};  // why it is not in the backup
};

// Whether the entry may have more names than this one.
[[nodiscard]] bool may_have_names(const ScanEntry& found);

// Holds what was noted of each entry with more than one name. Not thread-safe.
class FirstNames {
 public:
  // Keeps it if the entry may have more names, and this is the first.
  void note(const ScanEntry& found, const FirstName& first);

  // Null: none was noted. Valid as long as this.
  [[nodiscard]] const FirstName* find(const ScanEntry& found) const;
  [[nodiscard]] const FirstName* find(uint64_t device, uint64_t inode) const;

 private:
  std::map<std::pair<uint64_t, uint64_t>, FirstName> names_;  // by device and inode
};

}  // namespace backupkit
