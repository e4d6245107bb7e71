// Where the data of a restore come from: what the capability file says of each app.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "backupkit/error.h"

namespace backupkit {

// Of a restore's data: the app on the device that they come from.
struct Origin {
  int64_t version_code = 0;
  std::string version_name;
  uint64_t space = 0;  // bytes
};

using Origins = std::map<std::string, Origin>;  // by bundle

// The bundles of a capability file. An entry that lacks what is needed is left out, not the list.
// Error kInvalidArgument: it is no capability file.
[[nodiscard]] Result<Origins> read_origins(std::string_view capabilities);

// Whether the version's name, up to a `-`, is one of those by which the data of a foreign system
// are known: the app alone knows where they belong.
[[nodiscard]] bool is_foreign(const Origin& origin);

// The version as the app is told it: of `0.0.0.0-<name>` nothing but `0.0.0.0`.
[[nodiscard]] Origin for_the_app(Origin origin);

}  // namespace backupkit
