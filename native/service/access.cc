#include "native/service/access.h"

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "native/base/syscall.h"
#include "native/io/tmpfile.h"

namespace backupkit {
namespace {

constexpr const char* kPath = "etc/backupkit/service.json";
constexpr size_t kMaxBytes = 1U << 20;

std::unexpected<Error> refuse(std::string_view why) {
  return failure(Code::kInvalidArgument, std::string(kPath) + ": " + std::string(why));
}

Result<std::set<uid_t>> uids(const nlohmann::json& json, const char* key) {
  if (!json.contains(key)) return std::set<uid_t>{0, ::geteuid()};
  std::set<uid_t> found;
  if (!json[key].is_array()) return refuse(std::string(key) + " is not a list of uids");
  for (const auto& uid : json[key]) {
    if (!uid.is_number_unsigned()) return refuse(std::string(key) + " is not a list of uids");
    found.insert(uid.get<uid_t>());
  }
  return found;
}

Result<void> read_names(const nlohmann::json& json, ServiceSettings& settings) {
  for (const auto& [key, target] : {std::pair{"deviceType", &settings.device_type},
                                    {"systemFullName", &settings.system_name}}) {
    if (!json.contains(key)) continue;
    if (!json[key].is_string()) return refuse(std::string(key) + " is not a text");
    *target = json[key].get<std::string>();
  }
  return {};
}

Result<void> read_limits(const nlohmann::json& json, ServiceSettings& settings) {
  if (json.contains("maxExtensions")) {
    const auto& value = json["maxExtensions"];
    if (!value.is_number_unsigned() || value < 1 || value > 64) {
      return refuse("maxExtensions is not 1..64");
    }
    settings.max_extensions = value.get<size_t>();
  }
  if (json.contains("packingLimit")) {
    if (!json["packingLimit"].is_number_unsigned()) return refuse("packingLimit is not a number");
    settings.packing_limit = json["packingLimit"].get<uint64_t>();
  }
  return {};
}

}  // namespace

Result<ServiceSettings> ServiceSettings::read(BorrowedFd root) {
  nlohmann::json json = nlohmann::json::object();
  const UniqueFd file(retry([&] { return ::openat(root.get(), kPath, O_RDONLY | O_CLOEXEC); }));
  if (!file.is_open() && errno != ENOENT) return errno_failure(kPath);
  if (file.is_open()) {
    auto bytes = read_file(file.borrow(), kMaxBytes);
    if (!bytes) return failure(bytes.error().in(kPath));
    json = nlohmann::json::parse(bytes->begin(), bytes->end(), nullptr, false, true);
    if (!json.is_object()) return refuse("not a JSON object");
  }
  ServiceSettings settings;
  auto backup = uids(json, "backupUids");
  if (!backup) return failure(backup.error());
  auto system = uids(json, "systemUids");
  if (!system) return failure(system.error());
  settings.backup_uids = std::move(*backup);
  settings.system_uids = std::move(*system);
  if (auto names = read_names(json, settings); !names) return failure(names.error());
  if (auto limits = read_limits(json, settings); !limits) return failure(limits.error());
  return settings;
}

std::optional<Error> ServiceSettings::refusal(uid_t caller) const {
  const auto uid = "uid " + std::to_string(caller);
  if (!backup_uids.contains(caller)) {
    return Error{Code::kPermissionDenied, 0,
                 uid + " has no backup permission; service.json's backupUids grants it"};
  }
  if (!system_uids.contains(caller)) {
    return Error{Code::kNotSystemApp, 0,
                 uid + " is not a system app; service.json's systemUids grants it"};
  }
  return std::nullopt;
}

}  // namespace backupkit
