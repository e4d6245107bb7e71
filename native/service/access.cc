#include "native/service/access.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>

#include "native/base/syscall.h"
#include "native/io/tmpfile.h"

namespace backupkit {
namespace {

using nlohmann::json;

constexpr const char* kPath = "etc/backupkit/service.json";
constexpr size_t kMaxBytes = 1U << 20;

// Takes the values out of the file's text; keeps the first thing that is wrong, with its line.
class SettingsReader {
 public:
  explicit SettingsReader(std::string_view text) : text_(text) {}

  Result<ServiceSettings> read();

 private:
  void read_callers(const json& list);
  void read_caller(const json& caller, size_t index);
  void text(const char* key, std::string& target);
  template <typename T>
  void number(const char* key, uint64_t least, uint64_t most, T& target);
  void refuse(std::string_view key, size_t index, std::string_view why);
  [[nodiscard]] size_t line_of(std::string_view key, size_t index) const;

  std::string_view text_;
  json json_;
  ServiceSettings settings_;
  std::string wrong_;
};

Result<ServiceSettings> SettingsReader::read() {
  try {
    json_ = json::parse(text_.begin(), text_.end(), nullptr, true, true);
  } catch (const json::parse_error& error) {  // the only way to learn the line
    return failure(Code::kInvalidArgument, error.what());
  }
  if (!json_.is_object()) return failure(Code::kInvalidArgument, "line 1: not a JSON object");
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
  if (!list.is_array()) return refuse("callers", 0, "is not a list");
  for (size_t i = 0; i < list.size(); ++i) read_caller(list[i], i);
}

void SettingsReader::read_caller(const json& caller, size_t index) {
  if (!caller.is_object() || !caller.contains("uid")) {
    return refuse("callers", 0, "has an entry without a uid");
  }
  if (!caller["uid"].is_number_unsigned() || caller["uid"] >= std::numeric_limits<uid_t>::max()) {
    return refuse("uid", index, "is not a uid");
  }
  ServiceSettings::Caller& rights = settings_.callers[caller["uid"].get<uid_t>()];
  for (const auto& [key, target] :
       {std::pair{"backup", &rights.backup}, {"system", &rights.system}}) {
    if (!caller.contains(key)) continue;
    if (!caller[key].is_boolean()) return refuse(key, index, "is not true or false");
    *target = caller[key].get<bool>();
  }
}

void SettingsReader::text(const char* key, std::string& target) {
  if (!json_.contains(key)) return;
  if (!json_[key].is_string()) return refuse(key, 0, "is not a text");
  target = json_[key].get<std::string>();
}

template <typename T>
void SettingsReader::number(const char* key, uint64_t least, uint64_t most, T& target) {
  if (!json_.contains(key)) return;
  const auto& value = json_[key];
  if (!value.is_number_unsigned() || value < least || value > most) {
    return refuse(key, 0,
                  "is not a number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  target = value.get<T>();
}

void SettingsReader::refuse(std::string_view key, size_t index, std::string_view why) {
  if (!wrong_.empty()) return;
  wrong_ = "line " + std::to_string(line_of(key, index)) + ": " + std::string(key) + " " +
           std::string(why);
}

// The line of the key's occurrence number `index`; the parser keeps no positions.
size_t SettingsReader::line_of(std::string_view key, size_t index) const {
  const std::string quoted = "\"" + std::string(key) + "\"";
  size_t at = text_.find(quoted);
  for (; index > 0 && at != std::string_view::npos; --index) at = text_.find(quoted, at + 1);
  const auto before = text_.substr(0, std::min(at, text_.size()));
  return 1 + static_cast<size_t>(std::ranges::count(before, '\n'));
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
  auto settings = SettingsReader(text).read();
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
