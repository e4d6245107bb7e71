// The small files of a backup: each is packed as it was at one time.
#pragma once

#include <cstdint>
#include <string>

#include "native/extension/content.h"
#include "native/extension/file_hasher.h"
#include "native/extension/parts.h"
#include "native/manifest/scan.h"

namespace backupkit {

// What became of a file.
struct Handling {
  Fate fate = Fate::kStored;
  int sys_errno = 0;  // of kUnreadable
  bool grew = false;  // it is not small any more, and was not packed
  std::string in{};   // the file that holds it
  std::string hash{};
};

// Fate::kUnreadable for an errno, or kVanished. The Error that it gives is one of this process, not
// of the file: a lack of descriptors or memory.
[[nodiscard]] Result<Handling> handling_of(const Error& error);

// Not thread-safe.
class SmallFiles {
 public:
  // Packs files of up to `limit` bytes. All that is named here outlives this.
  SmallFiles(uint64_t limit, Labels labels, Parts& parts, FileHasher& hasher, Work& work)
      : limit_(limit), labels_(labels), parts_(parts), hasher_(hasher), work_(work) {}

  // Packs the file that is being visited, and sets what `found` says to how it was then. One that
  // changes while it is read is read again. With a `copy` that is read, and `found` stays.
  [[nodiscard]] Result<Handling> pack(ScanEntry& found, BorrowedFd copy);

 private:
  [[nodiscard]] Result<bool> try_to_pack(const ScanEntry& found, const Content& content,
                                         Handling& handling);

  uint64_t limit_;
  Labels labels_;
  Parts& parts_;
  FileHasher& hasher_;
  Work& work_;
};

}  // namespace backupkit
