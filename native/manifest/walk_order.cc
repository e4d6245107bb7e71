#include "native/manifest/walk_order.h"

#include <algorithm>
#include <compare>
#include <cstddef>
#include <string_view>

namespace backupkit {
namespace {

// Name by name is byte by byte once the end of a name sorts before every byte of a name.
unsigned rank(std::string_view path, size_t at) {
  if (at == path.size()) return 0;
  const auto byte = static_cast<unsigned char>(path[at]);
  return byte == '/' ? 1U : byte + 1U;
}

}  // namespace

std::strong_ordering walk_order(std::string_view a, std::string_view b) {
  if (a == "." || b == ".") return (a != ".") <=> (b != ".");
  const size_t shorter = std::min(a.size(), b.size());
  const auto same =
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(shorter), b.begin());
  const auto at = static_cast<size_t>(same.first - a.begin());
  return rank(a, at) <=> rank(b, at);
}

bool is_below(std::string_view path, std::string_view directory) {
  return path.size() > directory.size() && path.starts_with(directory) &&
         path[directory.size()] == '/';
}

}  // namespace backupkit
