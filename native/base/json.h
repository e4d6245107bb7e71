// JSON that somebody else has written. All that is done with a value but its parsing needs stack
// for each level of it, so lists and objects may be nested in each other only so deep.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "backupkit/error.h"

namespace backupkit {

inline constexpr int kMostNested = 100;
inline constexpr const char* kNestedTooDeep = "lists and objects in it are nested too deep";

// For a parser's callback: whether what begins is nested deeper than `most`.
[[nodiscard]] bool is_nested_deeper(int depth, nlohmann::json::parse_event_t event,
                                    int most = kMostNested);

// The value of a text; discarded where it is not JSON, or nested deeper than `most`.
[[nodiscard]] nlohmann::json parse_json(std::string_view text, int most = kMostNested);

// The same of a file that people write: comments are allowed. Error kInvalidArgument: what is wrong
// and where.
[[nodiscard]] Result<nlohmann::json> read_json(std::string_view text);

}  // namespace backupkit
