#include "native/base/json.h"

#include <nlohmann/json.hpp>
#include <string_view>

namespace backupkit {
namespace {

using nlohmann::json;

// For the parser: from where it is too deep on, nothing is kept.
json::parser_callback_t keep_until(int most, bool& is_too_deep) {
  return [most, &is_too_deep](int depth, json::parse_event_t event, const json&) {
    is_too_deep |= is_nested_deeper(depth, event, most);
    return !is_too_deep;
  };
}

}  // namespace

bool is_nested_deeper(int depth, json::parse_event_t event, int most) {
  using Event = json::parse_event_t;
  return (event == Event::object_start || event == Event::array_start) && depth >= most;
}

json parse_json(std::string_view text, int most) {
  bool is_too_deep = false;
  auto value = json::parse(text, keep_until(most, is_too_deep), false);
  return is_too_deep ? json(json::value_t::discarded) : value;
}

Result<json> read_json(std::string_view text) {
  bool is_too_deep = false;
  try {
    auto value = json::parse(text, keep_until(kMostNested, is_too_deep), true, true);
    if (!is_too_deep) return value;
  } catch (const json::parse_error& error) {  // the only way to learn where it is wrong
    return failure(Code::kInvalidArgument, error.what());
  }
  return failure(Code::kInvalidArgument, kNestedTooDeep);
}

}  // namespace backupkit
