#include "native/extension/beside.h"

#include <functional>
#include <optional>
#include <string>
#include <utility>

namespace backupkit {

void Beside::add(SqliteUnit& unit, const std::optional<Handling>& lost,
                 const std::function<bool(const std::string& path)>& belongs) {
  for (auto& [path, member] : unit.beside) {
    if (belongs(path)) files_[path] = {std::move(member), lost};
  }
}

bool Beside::keeps(const std::string& path) const {
  const auto found = files_.find(path);
  return found != files_.end() && found->second.is_kept();
}

std::optional<Beside::File> Beside::take(const std::string& path) {
  auto found = files_.extract(path);
  if (found.empty()) return std::nullopt;
  return std::move(found.mapped());
}

std::optional<Beside::File> Beside::take_before(const std::string* path) {
  if (files_.empty()) return std::nullopt;
  const auto first = files_.begin();
  if (path != nullptr && walk_order(first->first, *path) >= 0) return std::nullopt;
  return std::move(files_.extract(first).mapped());
}

}  // namespace backupkit
