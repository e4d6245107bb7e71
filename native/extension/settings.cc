#include "native/extension/settings.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "native/base/json.h"
#include "native/io/tmpfile.h"
#include "native/protocol/wire.h"

namespace backupkit {
namespace {

constexpr uint64_t kDefaultPackingLimit = 2U << 20;

Labels labels_of(const std::string& text) {
  if (text == "none") return Labels::kNone;
  return text == "derive" ? Labels::kDerive : Labels::kKeep;
}

// A client's own words again.
std::chrono::seconds delay_in(const nlohmann::json& options) {
  constexpr uint64_t kLongest = 1800;
  const auto given = options.value("delayTime", nlohmann::json());
  if (!given.is_number_unsigned()) return {};
  return std::chrono::seconds(std::min(given.get<uint64_t>(), kLongest));
}

// Throws where a type is wrong.
Settings settings_in(const nlohmann::json& json) {
  Settings settings;
  settings.bundle = json.value("name", "");
  std::optional<std::vector<std::string>> includes;
  if (json.contains("includes")) includes = json.at("includes").get<std::vector<std::string>>();
  settings.rules = Rules::configured(includes, json.value("excludes", std::vector<std::string>()));
  settings.packing_limit = json.value("packingLimit", kDefaultPackingLimit);
  settings.labels = labels_of(json.value("labels", ""));
  settings.app_info = json.value("appInfo", "");
  settings.app_call = json.value("appCall", uint8_t{0});
  const auto version = json.value("version", nlohmann::json::object());
  settings.version_code = version.value("code", int64_t{0});
  settings.version_name = version.value("name", "");
  const auto options = json.value("options", nlohmann::json::object());
  // A client's own words: whatever else it may be, only "none" means none.
  settings.hashes_big_files = !options.contains("integrity") || options["integrity"] != "none";
  settings.full_backup_only = json.value("fullBackupOnly", false);
  // What such an app gets is not put beside its data, which would all be too much.
  settings.is_mirror = !settings.full_backup_only && options.contains("restoreMode") &&
                       options["restoreMode"] == "mirror";
  if (options.contains("isSupportWithoutTar") && options["isSupportWithoutTar"] == true) {
    settings.packing_limit = 0;
  }
  settings.is_resumable = options.contains("resume") && options["resume"] == true;
  settings.keeps_directory =
      options.contains("clearBackupData") && options["clearBackupData"] == false;
  settings.freezes = json.value("freezes", false);
  const auto mapping = json.value("compatibleDirMapping", nlohmann::json::array());
  for (const auto& move : mapping) {
    settings.mapping.push_back({move.value("backupDir", ""), move.value("restoreDir", "")});
  }
  settings.delay = delay_in(options);
  settings.space_needed = json.value("spaceNeeded", uint64_t{0});
  return settings;
}

}  // namespace

Result<Settings> Settings::read(BorrowedFd sealed) {
  auto bytes = read_sealed(sealed, kMaxListBytes);
  if (!bytes) return failure(bytes.error());
  return parse({bytes->begin(), bytes->end()});
}

Result<Settings> Settings::parse(std::string text) {
  const auto json = parse_json(text);
  if (!json.is_object()) return failure(Code::kInvalidArgument, "settings are not JSON");
  try {
    auto settings = settings_in(json);
    settings.text = std::move(text);
    return settings;
  } catch (const nlohmann::json::exception&) {  // in a journal that the service has not written
    return failure(Code::kInvalidArgument, "settings are not those of a service");
  }
}

}  // namespace backupkit
