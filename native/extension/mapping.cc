#include "native/extension/mapping.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "native/base/json.h"

namespace backupkit {
namespace {

using nlohmann::json;

constexpr const char* kKey = "compatibleDirMapping";

std::unexpected<Error> refused(const std::string& why) {
  return failure(Code::kExtensionThrew, std::string(kKey) + " of the app's result " + why);
}

}  // namespace

Result<std::vector<Move>> chosen_moves(const std::string& result,
                                       const std::vector<Move>& mapping) {
  const auto object = parse_json(result);
  if (!object.is_object() || !object.contains(kKey)) return std::vector<Move>();
  const auto& list = object[kKey];
  if (!list.is_array()) return refused("is not a list");
  std::map<std::string, Move> chosen;  // by where it comes from
  for (const auto& item : list) {
    if (!item.is_string()) return refused("has something that is not a text");
    const auto& text = item.get_ref<const std::string&>();
    const auto found = std::ranges::find(mapping, move_path(text), &Move::to);
    if (found == mapping.end()) {
      return refused("names '" + text + "', which is no restoreDir of its bundle file");
    }
    const auto& [place, is_new] = chosen.emplace(found->from, *found);
    if (!is_new && place->second.to != found->to) {
      return refused("has '" + found->from + "' go to '" + place->second.to + "' and to '" +
                     found->to + "'");
    }
  }
  std::vector<Move> moves;
  moves.reserve(chosen.size());
  for (auto& [from, move] : chosen) moves.push_back(std::move(move));
  return moves;
}

}  // namespace backupkit
