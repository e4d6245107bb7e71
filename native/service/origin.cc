#include "native/service/origin.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace backupkit {

using nlohmann::json;

Result<Origins> read_origins(std::string_view capabilities) {
  const auto file = json::parse(capabilities, nullptr, false);
  if (!file.is_object() || !file.contains("bundleInfos") || !file["bundleInfos"].is_array()) {
    return failure(
        Code::kInvalidArgument,
        "the capability file is not JSON with bundleInfos; getLocalCapabilities makes one");
  }
  Origins origins;
  for (const auto& info : file["bundleInfos"]) {
    if (!info.is_object() || !info.contains("name") || !info["name"].is_string()) continue;
    Origin origin;
    if (info.contains("versionCode") && info["versionCode"].is_number_integer()) {
      origin.version_code = info["versionCode"].get<int64_t>();
    }
    if (info.contains("versionName") && info["versionName"].is_string()) {
      origin.version_name = info["versionName"].get<std::string>();
    }
    if (info.contains("spaceOccupied") && info["spaceOccupied"].is_number_unsigned()) {
      origin.space = info["spaceOccupied"].get<uint64_t>();
    }
    origins.emplace(info["name"].get<std::string>(), std::move(origin));
  }
  return origins;
}

}  // namespace backupkit
