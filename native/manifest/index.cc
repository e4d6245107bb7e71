#include "native/manifest/index.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <ranges>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "native/base/base64.h"
#include "native/base/percent.h"
#include "native/io/holes.h"
#include "native/io/xattr.h"

namespace backupkit {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;  // writes the keys in the seed system's order

template <typename... Pieces>
void append(std::string& text, const Pieces&... pieces) {
  (text.append(pieces), ...);
}

// As JSON has it. An index is the last thing that a backup makes, and long: so what is usual in it
// is put together by hand.
std::string quoted(const std::string& text) {
  const auto stands_for_itself = [](char c) {
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
  };
  if (std::ranges::all_of(text, stands_for_itself)) return '"' + text + '"';
  // "replace" cannot happen to a path; a hash that is no UTF-8 must not throw.
  return OrderedJson(text).dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

std::string time_text(Timestamp time) {
  return R"({"tv_sec":)" + std::to_string(time.seconds) + R"(,"tv_nsec":)" +
         std::to_string(time.nanoseconds) + '}';
}

const char* flag_text(bool flag) { return flag ? "true" : "false"; }

std::string path_text(const std::string& path, bool encode) {
  return encode ? percent_encode(path) : path;
}

OrderedJson xattrs_json(const Xattrs& xattrs, bool encode) {
  OrderedJson json = OrderedJson::object();
  for (const auto& [name, value] : xattrs) json[path_text(name, encode)] = base64_encode(value);
  return json;
}

OrderedJson holes_json(const std::vector<Extent>& holes) {
  OrderedJson json = OrderedJson::array();
  for (const Extent& hole : holes) json.push_back({hole.offset, hole.length});
  return json;
}

void write_item(const IndexItem& item, std::string& text) {
  const auto names = std::views::keys(item.xattrs);
  const bool encode = needs_percent(item.path) || std::ranges::any_of(item.links, needs_percent) ||
                      std::ranges::any_of(names, needs_percent);
  const std::string size = std::to_string(item.size);
  append(text, R"({"fileName":)", quoted(item.file_name), R"(,"information":{"path":)",
         quoted(path_text(item.path, encode)), R"(,"stat":{"st_size":)", size, R"(,"st_mode":)",
         std::to_string(item.mode), R"(,"st_atim":)", time_text(item.access), R"(,"st_mtim":)",
         time_text(item.modification), R"(}},"isUserTar":)", flag_text(item.is_user_tar),
         R"(,"isBigFile":)", flag_text(item.is_big_file), R"(,"size":)", size, R"(,"hash":)",
         quoted(item.hash), encode ? R"(,"encodeFlag":1)" : "");
  if (!item.is_big_file) return append(text, R"(,"entries":)", std::to_string(item.entries), "}");
  append(text, R"(,"uid":)", std::to_string(item.uid), R"(,"gid":)", std::to_string(item.gid));
  OrderedJson more;
  for (const std::string& link : item.links) more["links"].push_back(path_text(link, encode));
  if (!item.xattrs.empty()) more["xattrs"] = xattrs_json(item.xattrs, encode);
  if (!item.holes.empty()) more["holes"] = holes_json(item.holes);
  text += more.is_null() ? "}" : "," + more.dump().substr(1);
}

// Reads the fields of one object; the first wrong one is remembered and the rest gives defaults.
class Fields {
 public:
  explicit Fields(const Json& object, std::string& wrong) : object_(object), wrong_(wrong) {
    if (!object.is_object()) reject("an object");
  }

  const Json& object(const char* key) {
    const Json* value = find(key);
    if (value != nullptr && value->is_object()) return *value;
    reject(key);
    static const Json kEmpty = Json::object();
    return kEmpty;
  }

  std::string text(const char* key, bool needed) {
    const Json* value = find(key);
    if (value != nullptr && value->is_string()) return value->get<std::string>();
    if (value != nullptr || needed) reject(key);
    return {};
  }

  bool flag(const char* key, bool fallback) {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) reject(key);
    return value->is_boolean() && value->get<bool>();
  }

  uint64_t number(const char* key, uint64_t most, std::optional<uint64_t> fallback) {
    const Json* value = find(key);
    if (value == nullptr && fallback) return *fallback;
    if (value == nullptr || !value->is_number_unsigned() || value->get<uint64_t>() > most) {
      reject(key);
      return 0;
    }
    return value->get<uint64_t>();
  }

  int64_t seconds(const char* key) {
    const Json* value = find(key);
    const bool fits = value != nullptr && value->is_number_integer() &&
                      (!value->is_number_unsigned() ||
                       value->get<uint64_t>() <= std::numeric_limits<int64_t>::max());
    if (!fits) reject(key);
    return fits ? value->get<int64_t>() : 0;
  }

  std::vector<std::string> texts(const char* key) {
    const Json* value = find(key);
    std::vector<std::string> all;
    if (value == nullptr) return all;
    if (!value->is_array()) reject(key);
    if (!value->is_array()) return all;
    for (const Json& element : *value) {
      if (!element.is_string()) reject(key);
      if (element.is_string()) all.push_back(element.get<std::string>());
    }
    return all;
  }

  Xattrs xattrs(const char* key, bool encoded) {
    Xattrs all;
    const Json* value = find(key);
    if (value == nullptr) return all;
    if (!value->is_object()) {
      reject(key);
      return all;
    }
    for (const auto& [name, text] : value->items()) {
      const auto bytes =
          text.is_string() ? base64_decode(text.get_ref<const std::string&>()) : std::nullopt;
      auto decoded = encoded ? percent_decode(name) : Result<std::string>(name);
      if (!bytes || !decoded || !all.emplace(std::move(*decoded), *bytes).second) reject(key);
    }
    if (!are_xattrs(all)) reject(key);
    return all;
  }

  std::vector<Extent> extents(const char* key, uint64_t size) {
    std::vector<Extent> all;
    const Json* value = find(key);
    if (value == nullptr) return all;
    if (!value->is_array() || value->size() > kMaxHoles) {
      reject(key);
      return all;
    }
    for (const Json& pair : *value) {
      const bool fits = pair.is_array() && pair.size() == 2 && pair[0].is_number_unsigned() &&
                        pair[1].is_number_unsigned();
      if (fits) all.push_back({pair[0].get<uint64_t>(), pair[1].get<uint64_t>()});
      if (!fits) reject(key);
    }
    if (!are_extents(all, size)) reject(key);
    return all;
  }

  void reject(std::string_view what) {
    if (wrong_.empty()) wrong_ = what;
  }

 private:
  const Json* find(const char* key) const {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }

  const Json& object_;
  std::string& wrong_;
};

constexpr uint64_t kMostSize = std::numeric_limits<int64_t>::max();
constexpr uint64_t kMostId = std::numeric_limits<uint32_t>::max();

Timestamp read_time(const Json& json, std::string& wrong) {
  Fields fields(json, wrong);
  Timestamp time;
  time.seconds = fields.seconds("tv_sec");
  time.nanoseconds = static_cast<uint32_t>(fields.number("tv_nsec", 999'999'999, std::nullopt));
  return time;
}

// Big unless it is a tar: what the seed system assumes where an index does not say.
bool guess_big(std::string_view file_name) { return !file_name.ends_with(".tar"); }

void read_stat(const Json& json, IndexItem& item, std::string& wrong) {
  Fields stat(json, wrong);
  item.size = stat.number("st_size", kMostSize, std::nullopt);
  item.mode = static_cast<uint32_t>(stat.number("st_mode", 0177777, 0100660));
  item.access = read_time(stat.object("st_atim"), wrong);
  item.modification = read_time(stat.object("st_mtim"), wrong);
}

void decode_path(std::string& path, bool encoded, Fields& fields, const char* key) {
  if (encoded) {
    auto decoded = percent_decode(path);
    if (!decoded) return fields.reject(key);
    path = std::move(*decoded);
  }
  if (!is_inner_path(path)) fields.reject(key);
}

// Gives the item; `wrong` says which field is not as it must be.
IndexItem read_item(const Json& json, std::string& wrong) {
  IndexItem item;
  Fields fields(json, wrong);
  item.file_name = fields.text("fileName", true);
  if (!is_file_name(item.file_name)) fields.reject("fileName");
  const Json& information = fields.object("information");
  Fields inner(information, wrong);
  item.path = inner.text("path", true);
  read_stat(inner.object("stat"), item, wrong);
  item.size = fields.number("size", kMostSize, item.size);
  item.is_user_tar = fields.flag("isUserTar", false);
  item.is_big_file = fields.flag("isBigFile", guess_big(item.file_name));
  item.hash = fields.text("hash", false);
  item.entries = fields.number("entries", kMostSize, 0);
  item.uid = fields.number("uid", kMostId, 0);
  item.gid = fields.number("gid", kMostId, 0);
  item.links = fields.texts("links");
  const bool encoded = fields.number("encodeFlag", 1, 0) == 1;
  decode_path(item.path, encoded, fields, "path");
  for (std::string& link : item.links) decode_path(link, encoded, fields, "links");
  item.xattrs = fields.xattrs("xattrs", encoded);
  item.holes = fields.extents("holes", item.size);
  return item;
}

}  // namespace

bool is_file_name(std::string_view name) {
  const auto is_allowed = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '.';
  };
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         std::ranges::all_of(name, is_allowed);
}

bool is_inner_path(std::string_view path) {
  if (path.empty() || path.find('\0') != std::string_view::npos) return false;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

std::string write_index(const std::vector<IndexItem>& items) {
  std::string text = "[";
  for (const IndexItem& item : items) {
    if (text.size() > 1) text += ",\n";
    write_item(item, text);
  }
  return text + "]\n";
}

Result<std::vector<IndexItem>> read_index(std::string_view json) {
  const Json all = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!all.is_array()) return failure(Code::kUnpackFailed, "the index is not a JSON array");
  if (all.size() > kMaxIndexItems) {
    return failure(Code::kUnpackFailed,
                   "the index has more than " + std::to_string(kMaxIndexItems) + " items");
  }
  std::vector<IndexItem> items;
  items.reserve(all.size());
  std::unordered_set<std::string> names;
  for (const Json& element : all) {
    std::string wrong;
    IndexItem item = read_item(element, wrong);
    if (wrong.empty() && !names.insert(item.file_name).second) wrong = "fileName, a second time";
    if (!wrong.empty()) {
      return failure(Code::kUnpackFailed,
                     "item " + std::to_string(items.size()) + " of the index has a wrong " + wrong);
    }
    items.push_back(std::move(item));
  }
  return items;
}

}  // namespace backupkit
