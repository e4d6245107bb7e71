#include "native/service/bundle_settings.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "native/base/json.h"
#include "native/manifest/rules.h"

namespace backupkit {
namespace {

using nlohmann::json;

void append(std::vector<std::string>& list, const std::vector<std::string>& more) {
  list.insert(list.end(), more.begin(), more.end());
}

json json_of(const std::vector<Move>& mapping) {
  json list = json::array();
  for (const auto& [from, to] : mapping) list.push_back({{"backupDir", from}, {"restoreDir", to}});
  return list;
}

// The includes and excludes of a bundle with those of a scene.
json rules_of(const Bundle& bundle, const json& scene) {
  auto includes = bundle.includes;
  auto excludes = bundle.excludes;
  for (const auto& option : bundle.scenes) {
    if (scene != option.id) continue;
    if (!includes) includes = Rules::default_includes();
    append(*includes, option.includes);
    append(excludes, option.excludes);
  }
  json rules = {{"excludes", excludes}};
  if (includes) rules["includes"] = *includes;
  return rules;
}

}  // namespace

std::string settings_of(SessionKind kind, const Bundle& bundle, const BundleRequest& request,
                        const Origin& origin, uint64_t packing_limit) {
  auto options = parse_json(request.options, kMostNested - 1);  // they are put into the settings
  if (!options.is_object()) options = json::object();
  json text = rules_of(bundle, options.value("backupScene", json()));
  const bool is_foreign_restore = kind == SessionKind::kRestore && is_foreign(origin);
  const Origin told = for_the_app(origin);
  text.update({{"name", bundle.name},
               {"labels", bundle.labels},
               {"packingLimit", packing_limit},
               {"appInfo", request.app_info},
               {"fullBackupOnly", bundle.full_backup_only || is_foreign_restore},
               {"spaceNeeded", origin.space},
               {"version", {{"code", told.version_code}, {"name", told.version_name}}},
               {"freezes", kind != SessionKind::kRestore && !bundle.freeze.empty()},
               {"options", options}});
  if (kind != SessionKind::kRestore && !bundle.mapping.empty()) {
    text["compatibleDirMapping"] = json_of(bundle.mapping);
  }
  return text.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace backupkit
