// The descriptors that come with a client's frame, looked at before they are used.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "native/protocol/wire.h"

namespace backupkit {

// It may have lost them.
[[nodiscard]] bool has_descriptors(const Frame& frame);

// The file that a client gives; not open where it gives none. It goes to an app's extension, which
// may read it and nothing else: Error kInvalidArgument where it is more, kOutOfMemory where it was
// lost.
[[nodiscard]] Result<UniqueFd> content_in(Frame& frame);

// What a client has sealed into its descriptor number `index`. Error: it was lost, is missing, or
// is not sealed; the message calls it `what`.
[[nodiscard]] Result<Bytes> sealed_in(const Frame& frame, size_t index, const std::string& what);

// The list of times; nothing where the frame has none.
[[nodiscard]] Result<std::optional<std::vector<BundleTime>>> times_in(const Frame& frame);

}  // namespace backupkit
