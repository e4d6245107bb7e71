// Backups to be restored that nobody would make: whole in their form, with any entries.
#pragma once

#include <string>
#include <vector>

#include "native/base/bytes.h"
#include "native/manifest/index.h"

namespace backupkit {

inline constexpr const char* kPartName = "part.0.tar";
inline constexpr const char* kBigName = "0123456789abcdef.txt";

struct MadeBackup {
  std::string part;
  std::string big;
  std::string index;
  std::string manifest;  // the complete one, or what else is said about what to take
};

// The entries' paths, types and targets are taken off `choices`; they name what is in the sandbox
// of the fuzzer, beside it, and above it.
[[nodiscard]] MadeBackup make_backup(ByteReader& choices);

}  // namespace backupkit
