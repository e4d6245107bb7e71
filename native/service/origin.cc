#include "native/service/origin.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace backupkit {

namespace {

using nlohmann::json;

constexpr std::string_view kNoVersion = "0.0.0.0";
constexpr std::array kForeign = {kNoVersion,
                                 std::string_view("99.99.99.999"),
                                 std::string_view("99.99.99.998"),
                                 std::string_view("99.99.99.997"),
                                 std::string_view("99.99.99.996"),
                                 std::string_view("99.99.99.995")};

std::string_view mark_of(const Origin& origin) {
  const std::string_view name = origin.version_name;
  return name.substr(0, name.find('-'));
}

}  // namespace

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

bool is_foreign(const Origin& origin) {
  return std::ranges::find(kForeign, mark_of(origin)) != kForeign.end();
}

Origin for_the_app(Origin origin) {
  if (mark_of(origin) != kNoVersion) return origin;
  origin.version_code = 0;
  origin.version_name = kNoVersion;
  return origin;
}

}  // namespace backupkit
