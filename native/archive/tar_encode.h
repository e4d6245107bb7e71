// Writes what goes before the content of an entry (the grammar is in tar_header.h).
#pragma once

#include <string>

#include "backupkit/error.h"
#include "native/archive/tar_header.h"

namespace backupkit {

// Appends the blocks that go before the content of `entry` to `out`; of a file with holes its map,
// too. Error kInvalidArgument: an empty path, one with a NUL, a path or target that is too long, a
// device number past 21 bits, attributes or holes that are none; `out` is untouched.
[[nodiscard]] Result<void> encode_header(const Entry& entry, std::string& out);

}  // namespace backupkit
