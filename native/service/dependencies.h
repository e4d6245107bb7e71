// Which bundles of a restore wait for which: `restoreDeps` of their bundle files.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace backupkit {

// By bundle, the ones that it waits for.
using Dependencies = std::map<std::string, std::vector<std::string>, std::less<>>;

// The names in a restoreDeps: between commas, spaces around them do not count.
[[nodiscard]] std::vector<std::string> names_in(std::string_view text);

// A way from a bundle back to itself, as `a, b, a`; "" if there is none.
[[nodiscard]] std::string circle_in(const Dependencies& dependencies);

}  // namespace backupkit
