// Reads small files whole, as an archive will have them.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "backupkit/unique_fd.h"
#include "native/base/shared_bytes.h"
#include "native/extension/settings.h"
#include "native/manifest/scan.h"

namespace backupkit {

// A file as it was at one time: it did not change from the look at it until it was read.
struct ReadFile {
  SharedBytes encoded;  // as it stands in an archive
  std::string hash;     // of its content; empty where none was wanted
};

// Not thread-safe.
class FileReader {
 public:
  // Reads into the memory of `pool`, which outlives this.
  FileReader(BlockPool& pool, Labels labels, bool hashes)
      : memory_(pool), labels_(labels), hashes_(hashes) {}

  // Reads the file that `found` is a look at, and sets its attributes. Nothing, and `found` stays:
  // it cannot be read, is another one or has changed since, or has holes.
  [[nodiscard]] std::optional<ReadFile> read(ScanEntry& found);

 private:
  [[nodiscard]] std::optional<ReadFile> read(const ScanEntry& found, BorrowedFd file);

  BlockWriter memory_;
  Labels labels_;
  bool hashes_;
  std::string header_;
};

}  // namespace backupkit
