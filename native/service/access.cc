#include "native/service/access.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "native/base/syscall.h"
#include "native/io/tmpfile.h"
#include "native/service/json_lines.h"

namespace backupkit {
namespace {

using nlohmann::json;

constexpr const char* kPath = "etc/backupkit/service.json";
constexpr size_t kMaxBytes = 1U << 20;

// Takes the values out of the file's text; keeps the first thing that is wrong, with its line.
class SettingsReader {
 public:
  explicit SettingsReader(JsonLines file) : file_(std::move(file)), json_(file_.root()) {}

  Result<ServiceSettings> read();

 private:
  using Path = JsonLines::Path;

  void read_callers(const json& list);
  void read_caller(const json& caller, const std::string& index);
  void text(const char* key, std::string& target);
  template <typename T>
  void number(const char* key, uint64_t least, uint64_t most, T& target);
  void refuse(const Path& where, std::string_view what);

  JsonLines file_;
  const json& json_;
  ServiceSettings settings_;
  std::string wrong_;
};

Result<ServiceSettings> SettingsReader::read() {
  if (!json_.is_object()) {
    refuse({}, "not a JSON object");
    return failure(Code::kInvalidArgument, wrong_);
  }
  if (json_.contains("callers")) {
    read_callers(json_["callers"]);
  } else {
    for (const uid_t uid : {uid_t{0}, ::geteuid()}) settings_.callers[uid] = {true, true};
  }
  text("deviceType", settings_.device_type);
  text("systemFullName", settings_.system_name);
  number("maxExtensions", 1, 64, settings_.max_extensions);
  number("packingLimit", 0, std::numeric_limits<int64_t>::max(), settings_.packing_limit);
  number("maxSendRate", 0, 1'000'000, settings_.max_send_rate);
  auto idle = static_cast<uint64_t>(settings_.idle_limit.count());
  number("idleLimit", 1, 1'000'000'000, idle);
  settings_.idle_limit = std::chrono::milliseconds(idle);
  if (!wrong_.empty()) return failure(Code::kInvalidArgument, wrong_);
  return settings_;
}

void SettingsReader::read_callers(const json& list) {
  if (!list.is_array()) return refuse({"callers"}, "callers is not a list");
  for (size_t i = 0; i < list.size(); ++i) read_caller(list[i], std::to_string(i));
}

void SettingsReader::read_caller(const json& caller, const std::string& index) {
  if (!caller.is_object() || !caller.contains("uid")) {
    return refuse({"callers", index}, "callers has an entry without a uid");
  }
  if (!caller["uid"].is_number_unsigned() || caller["uid"] >= std::numeric_limits<uid_t>::max()) {
    return refuse({"callers", index, "uid"}, "uid is not a uid");
  }
  ServiceSettings::Caller& rights = settings_.callers[caller["uid"].get<uid_t>()];
  for (const auto& [key, target] :
       {std::pair{"backup", &rights.backup}, {"system", &rights.system}}) {
    if (!caller.contains(key)) continue;
    if (!caller[key].is_boolean()) {
      return refuse({"callers", index, key}, std::string(key) + " is not true or false");
    }
    *target = caller[key].get<bool>();
  }
}

void SettingsReader::text(const char* key, std::string& target) {
  if (!json_.contains(key)) return;
  if (!json_[key].is_string()) return refuse({key}, std::string(key) + " is not a text");
  target = json_[key].get<std::string>();
}

template <typename T>
void SettingsReader::number(const char* key, uint64_t least, uint64_t most, T& target) {
  if (!json_.contains(key)) return;
  const auto& value = json_[key];
  if (!value.is_number_unsigned() || value < least || value > most) {
    return refuse({key}, std::string(key) + " is not a number from " + std::to_string(least) +
                             " to " + std::to_string(most));
  }
  target = value.get<T>();
}

void SettingsReader::refuse(const Path& where, std::string_view what) {
  if (wrong_.empty()) {
    wrong_ = "line " + std::to_string(file_.line_of(where)) + ": " + std::string(what);
  }
}

}  // namespace

Result<ServiceSettings> ServiceSettings::read(BorrowedFd root) {
  std::string text = "{}";
  const UniqueFd file(retry([&] { return ::openat(root.get(), kPath, O_RDONLY | O_CLOEXEC); }));
  if (!file.is_open() && errno != ENOENT) return errno_failure(kPath);
  if (file.is_open()) {
    auto bytes = read_file(file.borrow(), kMaxBytes);
    if (!bytes) return failure(bytes.error().in(kPath));
    text.assign(bytes->begin(), bytes->end());
  }
  auto parsed = JsonLines::parse(text);
  if (!parsed) return failure(parsed.error().in(kPath));
  auto settings = SettingsReader(std::move(*parsed)).read();
  if (!settings) return failure(settings.error().in(kPath));
  return settings;
}

std::optional<Error> ServiceSettings::refusal(uid_t caller) const {
  const auto found = callers.find(caller);
  const Caller rights = found == callers.end() ? Caller{} : found->second;
  const auto uid = "uid " + std::to_string(caller);
  if (!rights.backup) {
    return Error{Code::kPermissionDenied, 0,
                 uid + " has no backup permission; an entry in service.json's callers grants it"};
  }
  if (!rights.system) {
    return Error{Code::kNotSystemApp, 0,
                 uid + " is not a system app; \"system\": true in service.json's callers makes it"};
  }
  return std::nullopt;
}

}  // namespace backupkit
