#include "native/service/dependencies.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace backupkit {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  const auto begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

// A walk into the depth. It keeps its way itself: a chain may be as long as a session's list.
class Walk {
 public:
  explicit Walk(const Dependencies& dependencies) : dependencies_(dependencies) {}

  // The first circle on a way from `start`.
  std::string from(const std::string& start) {
    enter(start);
    while (!way_.empty()) {
      auto& [name, next] = way_.back();
      const auto found = dependencies_.find(name);
      if (found == dependencies_.end() || next == found->second.size()) {
        on_way_.erase(name);
        way_.pop_back();
        continue;
      }
      const auto& other = found->second[next++];
      if (on_way_.contains(other)) return circle(other);
      enter(other);
    }
    return "";
  }

 private:
  struct Place {
    std::string name;
    size_t next = 0;  // of those that it waits for
  };

  void enter(const std::string& name) {
    if (!seen_.insert(name).second) return;
    way_.push_back({name});
    on_way_.insert(name);
  }

  [[nodiscard]] std::string circle(const std::string& end) const {
    std::string text;
    auto place = std::ranges::find(way_, end, &Place::name);
    for (; place != way_.end(); ++place) text += place->name + ", ";
    return text + end;
  }

  const Dependencies& dependencies_;
  std::vector<Place> way_;
  std::set<std::string, std::less<>> on_way_;
  std::set<std::string, std::less<>> seen_;
};

}  // namespace

std::vector<std::string> names_in(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const auto name = trimmed(text.substr(0, comma));
    if (!name.empty()) names.emplace_back(name);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return names;
}

std::string circle_in(const Dependencies& dependencies) {
  Walk walk(dependencies);
  for (const auto& [name, others] : dependencies) {
    if (auto circle = walk.from(name); !circle.empty()) return circle;
  }
  return "";
}

}  // namespace backupkit
