#include "native/manifest/moves.h"

#include <algorithm>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/manifest/index.h"
#include "native/manifest/rules.h"
#include "native/manifest/walk_order.h"

namespace backupkit {

std::optional<std::string> move_path(std::string_view text) {
  while (text.starts_with('/')) text.remove_prefix(1);
  while (text.ends_with('/')) text.remove_suffix(1);
  if (!is_inner_path(text) || is_backup_dir(text)) return std::nullopt;
  return std::string(text);
}

Moves::Moves(std::vector<Move> moves) : moves_(std::move(moves)) {
  std::ranges::sort(moves_,
                    [](const Move& a, const Move& b) { return walk_order(a.to, b.to) < 0; });
  for (const auto& move : moves_) sources_.insert(move.from);
}

std::string Moves::source_of(std::string_view path) const {
  // The deepest counts: it comes behind those that it is in.
  for (const auto& [from, to] : moves_ | std::views::reverse) {
    if (path == to || is_below(path, to)) return from + std::string(path.substr(to.size()));
  }
  return std::string(path);
}

}  // namespace backupkit
