#include "native/extension/journal.h"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "native/base/hash.h"
#include "native/base/json.h"
#include "native/base/percent.h"
#include "native/manifest/index.h"

namespace backupkit {
namespace {

using nlohmann::json;

std::string hex_of(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char byte : bytes) {
    const auto value = static_cast<uint8_t>(byte);
    text += kDigits[value >> 4U];
    text += kDigits[value & 15U];
  }
  return text;
}

std::optional<std::string> bytes_of(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (size_t at = 0; at < hex.size(); at += 2) {
    uint8_t value = 0;
    const char* const pair = hex.data() + at;
    const auto [end, error] = std::from_chars(pair, pair + 2, value, 16);
    if (error != std::errc{} || end != pair + 2) return std::nullopt;
    bytes += static_cast<char>(value);
  }
  return bytes;
}

std::string hash_of(std::string_view text) {
  Hasher hasher;
  hasher.update(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  return hasher.finish();
}

json json_of(const Metadata& metadata) {
  json made = {{"mode", metadata.mode},
               {"uid", metadata.uid},
               {"gid", metadata.gid},
               {"mtime", {metadata.mtime.seconds, metadata.mtime.nanoseconds}}};
  for (const auto& [name, value] : metadata.xattrs) {
    made["xattrs"][percent_encode(name)] = hex_of(value);
  }
  return made;
}

json json_of(const Step& step) {
  json made = {{"path", percent_encode(step.path)}};
  if (step.inode != 0) made["new"] = step.inode;
  if (step.old != 0) made["old"] = step.old;
  return made;
}

json json_of(const MetadataChange& change) {
  json made = {{"path", percent_encode(change.path)}, {"before", json_of(change.before)}};
  if (change.after) made["after"] = json_of(*change.after);
  return made;
}

// The hash vouches for what a line says; the rest of the checks are for what nobody's journal says.
class Reader {
 public:
  Result<Journal> read(std::string_view text) {
    size_t count = 0;
    for (size_t at = 0; at < text.size(); ++count) {
      const auto end = text.find('\n', at);
      if (end == std::string_view::npos) break;
      const auto line = parse_json(text.substr(at, end - at));
      if (!line.is_object()) break;
      if (line.contains("end")) {
        const bool whole = line == json{{"end", count}, {"hash", hash_of(text.substr(0, at))}};
        if (!whole || end + 1 != text.size() || count == 0) break;
        return std::move(journal_);
      }
      if (!(count == 0 ? take_head(line) : take(line))) break;
      at = end + 1;
    }
    return failure(Code::kIo,
                   "the journal of a restore is damaged at its line " + std::to_string(count + 1));
  }

 private:
  bool take_head(const json& line) {
    if (line.value("journal", json()) != 1 || !line.contains("settings")) return false;
    if (!line["settings"].is_string()) return false;
    journal_.settings = line["settings"].get<std::string>();
    journal_.keeps_directory = line.contains("keeps");
    return true;
  }

  bool take(const json& line) {
    const auto path = path_of(line);
    if (!path) return false;
    if (!line.contains("before")) {
      const auto inode = inode_of(line, "new");
      const auto old = inode_of(line, "old");
      if (!inode || !old || (*inode == 0 && *old == 0)) return false;
      journal_.steps.push_back({*path, *inode, *old});
      return true;
    }
    const auto before = metadata(line["before"]);
    if (!before) return false;
    std::optional<Metadata> after;
    if (line.contains("after")) {
      after = metadata(line["after"]);
      if (!after) return false;
    }
    journal_.changes.push_back({*path, *before, std::move(after)});
    return true;
  }

  static std::optional<std::string> path_of(const json& line) {
    const auto text = line.value("path", json());
    if (!text.is_string()) return std::nullopt;
    auto path = percent_decode(text.get_ref<const std::string&>());
    if (!path || (*path != "." && !is_inner_path(*path))) return std::nullopt;
    return std::move(*path);
  }

  static std::optional<uint64_t> inode_of(const json& line, const char* key) {
    const auto number = line.value(key, json(0U));
    if (!number.is_number_unsigned()) return std::nullopt;
    return number.get<uint64_t>();
  }

  static std::optional<Metadata> metadata(const json& from) {
    Metadata made;
    const auto number = [&](const char* key, auto& field) {
      const auto value = from.is_object() ? from.value(key, json()) : json();
      if (!value.is_number_unsigned()) return false;
      value.get_to(field);
      return true;
    };
    if (!number("mode", made.mode) || !number("uid", made.uid) || !number("gid", made.gid)) {
      return std::nullopt;
    }
    const auto time = from.value("mtime", json());
    if (!time.is_array() || time.size() != 2 || !time[0].is_number_integer() ||
        !time[1].is_number_unsigned()) {
      return std::nullopt;
    }
    made.mtime = {time[0].get<int64_t>(), time[1].get<uint32_t>()};
    const auto xattrs = from.value("xattrs", json::object());
    for (const auto& [name, value] : xattrs.items()) {
      auto decoded = percent_decode(name);
      auto bytes = value.is_string() ? bytes_of(value.get_ref<const std::string&>()) : std::nullopt;
      if (!decoded || !bytes) return std::nullopt;
      made.xattrs.emplace(std::move(*decoded), std::move(*bytes));
    }
    return made;
  }

  Journal journal_;
};

}  // namespace

std::string write_journal(const Journal& journal) {
  std::string text;
  size_t lines = 0;
  const auto add = [&](const json& line) {
    text += line.dump(-1, ' ', false, json::error_handler_t::replace);
    text += '\n';
    ++lines;
  };
  json head = {{"journal", 1}, {"settings", journal.settings}};
  if (journal.keeps_directory) head["keeps"] = true;
  add(head);
  for (const auto& step : journal.steps) add(json_of(step));
  for (const auto& change : journal.changes) add(json_of(change));
  add({{"end", lines}, {"hash", hash_of(text)}});
  return text;
}

Result<Journal> read_journal(std::string_view text) { return Reader().read(text); }

}  // namespace backupkit
