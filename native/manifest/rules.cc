#include "native/manifest/rules.h"

#include <fnmatch.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace backupkit {
namespace {

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

bool is_backup_dir(std::string_view path) {
  constexpr std::string_view kName = ".backup";
  return path.starts_with(kName) && (path.size() == kName.size() || path[kName.size()] == '/');
}

Rules Rules::make(const std::vector<std::string>& includes,
                  const std::vector<std::string>& excludes) {
  Rules rules;
  std::ranges::transform(includes, std::back_inserter(rules.includes_), parse);
  std::ranges::transform(excludes, std::back_inserter(rules.excludes_), parse);
  rules.everything_ = std::ranges::any_of(rules.includes_, &Pattern::everything);
  return rules;
}

Rules Rules::configured(const std::optional<std::vector<std::string>>& includes,
                        const std::vector<std::string>& excludes) {
  Rules rules = make(includes ? *includes : default_includes(), excludes);
  rules.default_ = !includes;
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

Rules::Judgement Rules::judge(std::string_view path, bool is_directory, bool parent_taken) const {
  if (is_backup_dir(path)) return {Verdict::kExclude, kBuiltIn};
  const auto first = [&](const std::vector<Pattern>& patterns, auto test) {
    const auto found =
        std::ranges::find_if(patterns, [&](const Pattern& pattern) { return test(pattern, path); });
    return found == patterns.end() ? kNone : static_cast<size_t>(found - patterns.begin());
  };
  Judgement judgement;
  if (!parent_taken) judgement.rule = first(includes_, matches);
  const bool taken = parent_taken || judgement.rule != kNone;
  if (!taken) {
    if (is_directory) judgement.rule = first(includes_, reaches_below);
    if (judgement.rule == kNone) return judgement;
  }
  const auto rule = first(excludes_, matches);
  if (rule != kNone) return {Verdict::kExclude, rule};
  judgement.verdict = taken ? Verdict::kTake : Verdict::kDescend;
  return judgement;
}

Rules::Explanation Rules::explain(std::string_view path, bool is_directory) const {
  const auto everything = std::ranges::find_if(includes_, &Pattern::everything);
  Explanation found{.judgement = {}, .decided_at = std::string(1, '.')};
  if (everything != includes_.end()) {
    found.judgement = {Verdict::kTake, static_cast<size_t>(everything - includes_.begin())};
  }
  if (path == ".") return found;
  for (size_t end = 0; end != std::string_view::npos;) {
    end = path.find('/', end + 1);
    const auto step = path.substr(0, end);
    const bool above = end != std::string_view::npos;
    const bool taken = found.judgement.verdict == Verdict::kTake;
    const auto judgement = judge(step, above || is_directory, taken);
    if (taken && judgement.verdict == Verdict::kTake) continue;  // by what took the one above
    found = {judgement, std::string(step)};
    if (judgement.verdict == Verdict::kExclude || judgement.verdict == Verdict::kOutside) break;
  }
  return found;
}

std::string Rules::name_of(const Judgement& judgement) const {
  if (judgement.rule == kBuiltIn) return "the service's own '.backup'";
  if (judgement.rule == kNone) {
    return judgement.verdict == Verdict::kTake ? "the directory above" : "no include";
  }
  if (judgement.verdict == Verdict::kExclude) {
    return "exclude '" + excludes_[judgement.rule].text + "'";
  }
  return (default_ ? "default include '" : "include '") + includes_[judgement.rule].text + "'";
}

Rules::Pattern Rules::parse(const std::string& text) {
  Pattern pattern;
  pattern.text = text;
  std::string_view left = text;
  const size_t end = left.find_last_not_of('/');
  const bool has_slash =
      end != std::string_view::npos && left.substr(0, end).find('/') != std::string_view::npos;
  pattern.any_depth = !has_slash;
  while (!left.empty()) {
    const std::string_view part = take_part(left);
    if (!part.empty() && part != ".") pattern.parts.emplace_back(part);
  }
  pattern.everything = (pattern.parts.empty() && !text.empty()) || text == "*";
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
