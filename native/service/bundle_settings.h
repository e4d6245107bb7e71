// What an extension is told of its bundle.
#pragma once

#include <cstdint>
#include <string>

#include "native/protocol/wire.h"
#include "native/service/catalog.h"
#include "native/service/origin.h"

namespace backupkit {

// The sealed JSON of Start: native/extension/settings.h has its grammar.
[[nodiscard]] std::string settings_of(SessionKind kind, const Bundle& bundle,
                                      const BundleRequest& request, const Origin& origin,
                                      uint64_t packing_limit);

}  // namespace backupkit
