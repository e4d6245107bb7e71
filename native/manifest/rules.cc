#include "native/manifest/rules.h"

#include <fnmatch.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace backupkit {
namespace {

bool is_backup_dir(std::string_view path) {
  constexpr std::string_view kName = ".backup";
  return path.starts_with(kName) && (path.size() == kName.size() || path[kName.size()] == '/');
}

bool part_matches(const std::string& pattern, std::string_view part) {
  if (pattern.find_first_of("*?[\\") == std::string::npos) return pattern == part;
  return ::fnmatch(pattern.c_str(), std::string(part).c_str(), 0) == 0;
}

// The first part of `path`; takes it and the `/` behind it off.
std::string_view take_part(std::string_view& path) {
  const size_t slash = path.find('/');
  const std::string_view part = path.substr(0, slash);
  path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  return part;
}

// How many parts the pattern and `path` have in common from the top; all of the path's parts must
// match, else nothing is.
size_t matching_parts(const std::vector<std::string>& pattern, std::string_view path) {
  size_t count = 0;
  while (!path.empty()) {
    const std::string_view part = take_part(path);
    if (count == pattern.size() || !part_matches(pattern[count], part)) return 0;
    ++count;
  }
  return count;
}

}  // namespace

Rules Rules::make(const std::vector<std::string>& includes, std::vector<std::string> excludes) {
  Rules rules;
  for (const std::string& text : includes) {
    rules.everything_ = rules.everything_ || text == "*";
    rules.includes_.push_back(parse(text));
  }
  for (const std::string& text : excludes) rules.excludes_.push_back(parse(text));
  rules.everything_ =
      rules.everything_ || std::ranges::any_of(rules.includes_, &Pattern::everything);
  rules.exclude_texts_ = std::move(excludes);
  return rules;
}

const std::vector<std::string>& Rules::default_includes() {
  static const std::vector<std::string> kDirectories{
      "data/storage/el1/database/",          "data/storage/el1/base/files/",
      "data/storage/el1/base/preferences/",  "data/storage/el1/base/haps/*/database/",
      "data/storage/el1/base/haps/*/files/", "data/storage/el1/base/haps/*/preferences/",
      "data/storage/el2/database/",          "data/storage/el2/base/files/",
      "data/storage/el2/base/preferences/",  "data/storage/el2/base/haps/*/database/",
      "data/storage/el2/base/haps/*/files/", "data/storage/el2/base/haps/*/preferences/",
      "data/storage/el2/distributedfiles/",
  };
  return kDirectories;
}

Rules::Verdict Rules::judge(std::string_view path, bool is_directory, bool parent_taken,
                            size_t* excluded_by) const {
  const auto excluded = [&](size_t rule) {
    if (excluded_by != nullptr) *excluded_by = rule;
    return Verdict::kExclude;
  };
  if (is_backup_dir(path)) return excluded(kBuiltIn);
  const auto is_match = [&](const Pattern& pattern) { return matches(pattern, path); };
  const auto reaches = [&](const Pattern& pattern) { return reaches_below(pattern, path); };
  const bool taken = parent_taken || everything_ || std::ranges::any_of(includes_, is_match);
  if (!taken && !(is_directory && std::ranges::any_of(includes_, reaches))) {
    return Verdict::kOutside;
  }
  const auto rule = std::ranges::find_if(excludes_, is_match);
  if (rule != excludes_.end()) return excluded(static_cast<size_t>(rule - excludes_.begin()));
  return taken ? Verdict::kTake : Verdict::kDescend;
}

Rules::Pattern Rules::parse(std::string_view text) {
  Pattern pattern;
  const size_t end = text.find_last_not_of('/');
  const bool has_slash =
      end != std::string_view::npos && text.substr(0, end).find('/') != std::string_view::npos;
  pattern.any_depth = !has_slash;
  const bool empty = text.empty();
  while (!text.empty()) {
    const std::string_view part = take_part(text);
    if (!part.empty() && part != ".") pattern.parts.emplace_back(part);
  }
  pattern.everything = pattern.parts.empty() && !empty;
  return pattern;
}

bool Rules::matches(const Pattern& pattern, std::string_view path) {
  if (pattern.everything) return true;
  if (pattern.parts.empty()) return false;
  if (!pattern.any_depth) return matching_parts(pattern.parts, path) == pattern.parts.size();
  return part_matches(pattern.parts.front(), path.substr(path.rfind('/') + 1));
}

bool Rules::reaches_below(const Pattern& pattern, std::string_view path) {
  if (pattern.parts.empty()) return pattern.everything;
  return pattern.any_depth || matching_parts(pattern.parts, path) > 0;
}

}  // namespace backupkit
