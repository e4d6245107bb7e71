#include "native/extension/sqlite_names.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "native/io/read.h"

namespace backupkit {
bool is_sqlite_sidecar(std::string_view path) {
  return std::ranges::any_of(kSqliteSuffixes,
                             [&](std::string_view suffix) { return path.ends_with(suffix); });
}

Result<bool> has_sqlite_database(BorrowedFd file, uint64_t offset) {
  std::array<char, kSqliteMagic.size()> begin{};
  auto read = read_exactly(file, begin, offset);
  if (!read || !*read) return read;
  return std::string_view(begin.data(), begin.size()) == kSqliteMagic;
}

}  // namespace backupkit
