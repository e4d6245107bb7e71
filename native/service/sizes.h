// How much data a bundle has.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/service/catalog.h"

namespace backupkit {

// Where a size comes from.
enum class Source : uint8_t {
  kCounted,     // from every file
  kLastKnown,   // from the last time that they were counted
  kUpperBound,  // from what is in use on the whole file system
};

struct Sizes {
  Source source = Source::kCounted;
  uint64_t all = 0;
  uint64_t since = 0;     // of what changed since then; of a counted size alone
  std::string problem{};  // what was not counted and why
};

// Counts the content of the files that a backup takes, each inode once and without its holes, and
// keeps the sum in var/lib/backupkit/sizes/<bundle> below the device root, if that is possible.
// Walks the sandbox, so it may block. Error kTimedOut: the file system gave nothing for as long as
// `patience`; what waits for it is left behind, and uses `root`.
[[nodiscard]] Result<Sizes> count_sizes(BorrowedFd root, const Bundle& bundle, int64_t since,
                                        std::chrono::milliseconds patience);

// Says what is known without looking at any file. Errors as above.
[[nodiscard]] Result<Sizes> estimate_sizes(BorrowedFd root, const Bundle& bundle,
                                           std::chrono::milliseconds patience);

}  // namespace backupkit
