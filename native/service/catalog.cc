#include "native/service/catalog.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/base/json.h"
#include "native/base/syscall.h"
#include "native/io/tmpfile.h"
#include "native/service/dependencies.h"

namespace backupkit {
namespace {

using nlohmann::json;

constexpr const char* kFolder = "etc/backupkit/bundles";
constexpr size_t kMaxBytes = 1U << 20;
constexpr std::chrono::milliseconds kLongestFreeze = std::chrono::hours(1);

// Reads the fields of one object; keeps the first thing that is wrong.
class Fields {
 public:
  explicit Fields(const json& object) : object_(object) {}

  template <typename T>
  void optional(const char* key, bool (json::*is_right)() const noexcept, const char* kind,
                T& target) {
    if (!object_.contains(key)) return;
    if (!(object_[key].*is_right)()) {
      if (wrong_.empty()) wrong_ = std::string(key) + " is not " + kind;
      return;
    }
    target = object_[key].get<T>();
  }

  void texts(const char* key, std::vector<std::string>& target) {
    if (!object_.contains(key)) return;
    const bool right =
        object_[key].is_array() &&
        std::ranges::all_of(object_[key], [](const json& text) { return text.is_string(); });
    if (!right && wrong_.empty()) wrong_ = std::string(key) + " is not a list of texts";
    if (right) target = object_[key].get<std::vector<std::string>>();
  }

  void one_of(const char* key, std::initializer_list<std::string_view> words, std::string& target) {
    if (!object_.contains(key)) return;
    const json& value = object_[key];
    const bool right = std::ranges::any_of(words, [&](auto word) { return value == word; });
    if (!right && wrong_.empty()) wrong_ = std::string(key) + " is none of its words";
    if (right) target = value.get<std::string>();
  }

  void id(const char* key, std::optional<uint32_t>& target) {
    if (!object_.contains(key)) return;
    if (!object_[key].is_number_unsigned() || object_[key] >= UINT32_MAX) {
      if (wrong_.empty()) wrong_ = std::string(key) + " is not an id";
      return;
    }
    target = object_[key].get<uint32_t>();
  }

  [[nodiscard]] const std::string& wrong() const { return wrong_; }

 private:
  const json& object_;
  std::string wrong_;
};

// What the capability file says beyond the service's own business.
json published_of(const json& rules, Fields& fields, Bundle& bundle) {
  bool require_compatibility = false;
  std::string restore_deps;
  std::string support_scene;
  fields.optional("fullBackupOnly", &json::is_boolean, "true or false", bundle.full_backup_only);
  fields.optional("requireCompatibility", &json::is_boolean, "true or false",
                  require_compatibility);
  fields.optional("restoreDeps", &json::is_string, "a text", restore_deps);
  fields.optional("supportScene", &json::is_string, "a text", support_scene);
  bundle.restore_deps = names_in(restore_deps);
  return {{"fullBackupOnly", bundle.full_backup_only},
          {"requireCompatibility", require_compatibility},
          {"restoreDeps", restore_deps},
          {"supportScene", support_scene},
          {"extraInfo", rules.value("extraInfo", json())}};
}

// What is wrong with optionDir; "" when nothing is.
std::string read_scenes(const json& rules, std::vector<Bundle::Scene>& scenes) {
  const json list = rules.value("optionDir", json::array());
  if (!list.is_array()) return "optionDir is not a list";
  for (const auto& item : list) {
    if (!item.is_object()) return "optionDir has something that is not an object";
    Fields fields(item);
    auto& scene = scenes.emplace_back();
    fields.optional("sceneId", &json::is_string, "a text", scene.id);
    fields.texts("includes", scene.includes);
    fields.texts("excludes", scene.excludes);
    if (!fields.wrong().empty()) return "optionDir: " + fields.wrong();
  }
  return "";
}

// A path of compatibleDirMapping; nothing where it is none. Upstream passes over one with a star.
std::optional<std::string> path_in(const json& item, const char* key) {
  const auto text = item.value(key, json());
  if (!text.is_string()) return std::nullopt;
  const auto& path = text.get_ref<const std::string&>();
  return path.find('*') == std::string::npos ? move_path(path) : std::nullopt;
}

// What is wrong with compatibleDirMapping; "" when nothing is.
std::string read_mapping(const json& rules, std::vector<Move>& mapping) {
  const std::string name = "compatibleDirMapping";
  const json list = rules.value(name, json::array());
  if (!list.is_array()) return name + " is not a list";
  if (list.size() > kMostMoves) {
    return name + " has " + std::to_string(list.size()) + " entries; the limit is " +
           std::to_string(kMostMoves);
  }
  for (const auto& item : list) {
    if (!item.is_object()) return name + " has something that is not an object";
    auto from = path_in(item, "backupDir");
    auto to = path_in(item, "restoreDir");
    if (!from) return name + ": backupDir is no path of a directory to back up";
    if (!to) return name + ": restoreDir is no path of a directory to restore";
    if (std::ranges::find(mapping, *to, &Move::to) != mapping.end()) {
      return name + ": '" + *to + "' is the restoreDir of two entries";
    }
    mapping.push_back({std::move(*from), std::move(*to)});
  }
  return "";
}

Result<json> parse_object(const Bytes& bytes) {
  auto object = read_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (!object) return failure(Code::kNotAdded, object.error().context);
  if (object->is_object()) return object;
  return failure(Code::kNotAdded, "not a JSON object");
}

// What is wrong with the backup or the extension of a bundle; "" when nothing is.
std::string read_parts(const json& object, Bundle& bundle) {
  const json rules = object.value("backup", json::object());
  if (!rules.is_object()) return "backup is not an object";
  Fields backup(rules);
  backup.optional("allowToBackupRestore", &json::is_boolean, "true or false", bundle.allowed);
  if (rules.contains("includes")) backup.texts("includes", bundle.includes.emplace());
  backup.texts("excludes", bundle.excludes);
  backup.one_of("labels", {"keep", "derive", "none"}, bundle.labels);
  bundle.published = published_of(rules, backup, bundle).dump();
  auto wrong = read_scenes(rules, bundle.scenes);
  if (wrong.empty()) wrong = read_mapping(rules, bundle.mapping);
  if (!wrong.empty()) return wrong;
  const json extension = object.value("extension", json::object());
  if (!extension.is_object()) return "extension is not an object";
  Fields program(extension);
  program.texts("command", bundle.hook);
  program.texts("reads", bundle.hook_reads);
  program.texts("writes", bundle.hook_writes);
  return backup.wrong().empty() ? program.wrong() : backup.wrong();
}

Result<Bundle> parse_bundle(const Bytes& bytes, const std::string& name) {
  auto parsed = parse_object(bytes);
  if (!parsed) return failure(parsed.error());
  const json& object = *parsed;
  Bundle bundle;
  Fields fields(object);
  fields.optional("name", &json::is_string, "a text", bundle.name);
  fields.optional("versionCode", &json::is_number_integer, "an integer", bundle.version_code);
  fields.optional("versionName", &json::is_string, "a text", bundle.version_name);
  fields.optional("extensionName", &json::is_string, "a text", bundle.extension_name);
  fields.optional("needToInstall", &json::is_boolean, "true or false", bundle.need_to_install);
  fields.optional("sandbox", &json::is_string, "a text", bundle.sandbox.path);
  fields.optional("freeze", &json::is_string, "a text", bundle.freeze);
  auto limit = bundle.freeze_limit.count();
  fields.optional("freezeLimit", &json::is_number_unsigned, "a number of milliseconds", limit);
  bundle.freeze_limit = std::min(std::chrono::milliseconds(limit), kLongestFreeze);
  fields.id("uid", bundle.sandbox.uid);
  fields.id("gid", bundle.sandbox.gid);
  const std::string wrong = read_parts(object, bundle);
  if (!fields.wrong().empty()) return failure(Code::kNotAdded, fields.wrong());
  if (!wrong.empty()) return failure(Code::kNotAdded, wrong);
  if (bundle.name != name) return failure(Code::kNotAdded, "its name is not that of its file");
  if (bundle.sandbox.path.empty()) return failure(Code::kNotAdded, "sandbox is missing");
  return bundle;
}

}  // namespace

Result<std::vector<std::string>> installed_bundles(BorrowedFd root) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  UniqueFd folder(retry([&] { return ::openat(root.get(), kFolder, kFlags); }));
  if (!folder.is_open()) {
    if (errno == ENOENT) return std::vector<std::string>{};
    return errno_failure(kFolder);
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(folder.get()), &::closedir);
  if (!stream) return errno_failure(kFolder);
  (void)folder.release();  // the stream's now
  std::vector<std::string> names;
  constexpr std::string_view kSuffix = ".json";
  errno = 0;
  while (const dirent* found = ::readdir(stream.get())) {  // NOLINT: its own stream
    std::string_view name = found->d_name;
    if (!name.ends_with(kSuffix) || name.starts_with('.')) continue;
    name.remove_suffix(kSuffix.size());
    names.emplace_back(name);
  }
  if (errno != 0) return errno_failure(kFolder);
  std::ranges::sort(names);
  return names;
}

bool is_bundle_name(std::string_view name) {
  const auto colon = name.find(':');
  const auto base = name.substr(0, colon);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto is_plain = [&](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == '-';
  };
  if (base.empty() || base.size() > 127 || base.front() == '.') return false;
  if (!std::ranges::all_of(base, is_plain)) return false;
  if (colon == std::string_view::npos) return true;
  const auto index = name.substr(colon + 1);
  return !index.empty() && index.size() <= 9 && std::ranges::all_of(index, is_digit);
}

Result<Bundle> read_bundle(BorrowedFd root, const std::string& name) {
  if (!is_bundle_name(name)) {
    return failure(Code::kInvalidArgument, "'" + name + "' is not a bundle name");
  }
  const std::string path = std::string(kFolder) + "/" + name + ".json";
  const UniqueFd file(
      retry([&] { return ::openat(root.get(), path.c_str(), O_RDONLY | O_CLOEXEC); }));
  if (!file.is_open()) {
    const auto code = errno == ENOENT ? Code::kNotAdded : Error::from_errno(errno, "").code;
    return std::unexpected(Error{code, errno, "bundle '" + name + "' has no readable " + path});
  }
  auto bytes = read_file(file.borrow(), kMaxBytes);
  if (!bytes) return failure(bytes.error().in(path));
  auto bundle = parse_bundle(*bytes, name);
  if (!bundle) return failure(bundle.error().in(path));
  return bundle;
}

}  // namespace backupkit
