#include "native/service/json_lines.h"

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "native/base/json.h"

namespace backupkit {
namespace {

using nlohmann::json;

// Tells the line of the character that was read last: the parser itself keeps no positions.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = char;

  CountingIterator(const char* at, size_t& line) : at_(at), line_(&line) {}

  char operator*() const { return *at_; }
  // After a number one more character is read: a line counts from its first character on.
  CountingIterator& operator++() {
    if (after_end_of_line_) ++*line_;
    after_end_of_line_ = *at_++ == '\n';
    return *this;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }

 private:
  const char* at_;
  size_t* line_;
  bool after_end_of_line_ = false;
};

// Follows the parser through the text.
class Tracker {
 public:
  Tracker(const size_t& line, std::map<JsonLines::Path, size_t>& lines)
      : line_(line), lines_(lines) {}

  void on_event(json::parse_event_t event, const json& parsed) {
    switch (event) {
      case json::parse_event_t::key:
        path_.back() = parsed.get<std::string>();
        lines_[path_] = line_;
        break;
      case json::parse_event_t::value:
        on_value();
        break;
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        on_value();
        path_.emplace_back();
        next_.push_back(event == json::parse_event_t::array_start ? 0 : kNoList);
        break;
      case json::parse_event_t::object_end:
      case json::parse_event_t::array_end:
        path_.pop_back();
        next_.pop_back();
        break;
    }
  }

 private:
  static constexpr size_t kNoList = SIZE_MAX;

  void on_value() {
    const bool in_object = !next_.empty() && next_.back() == kNoList;
    if (in_object) return;  // its key was noted
    if (!next_.empty()) path_.back() = std::to_string(next_.back()++);
    lines_[path_] = line_;
  }

  const size_t& line_;
  std::map<JsonLines::Path, size_t>& lines_;
  JsonLines::Path path_;
  std::vector<size_t> next_;  // index of the next value in each list that is open
};

}  // namespace

Result<JsonLines> JsonLines::parse(std::string_view text) {
  JsonLines parsed;
  size_t line = 1;
  Tracker tracker(line, parsed.lines_);
  bool is_too_deep = false;
  const auto follow = [&](int depth, json::parse_event_t event, const json& value) {
    is_too_deep |= is_nested_deeper(depth, event);
    if (!is_too_deep) tracker.on_event(event, value);
    return !is_too_deep;
  };
  // A range of its own: the parser never looks for a NUL.
  const char* const first = text.data();  // NOLINT(bugprone-suspicious-stringview-data-usage)
  const CountingIterator begin(first, line);
  const CountingIterator end(first + text.size(), line);
  try {
    parsed.root_ = json::parse(begin, end, follow, true, true);
  } catch (const json::parse_error& error) {  // the only way to learn the line
    return failure(Code::kInvalidArgument, error.what());
  }
  if (is_too_deep) return failure(Code::kInvalidArgument, kNestedTooDeep);
  return parsed;
}

size_t JsonLines::line_of(const Path& path) const {
  const auto found = lines_.find(path);
  return found == lines_.end() ? 1 : found->second;
}

}  // namespace backupkit
