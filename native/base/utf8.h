// Which bytes are UTF-8 (Unicode, table 3-7).
#pragma once

#include <cstddef>
#include <string_view>

namespace backupkit {

// The length of the valid sequence at `i`, or 0 where there is none.
[[nodiscard]] size_t utf8_length(std::string_view text, size_t i);

// True when `text` is made of valid sequences.
[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace backupkit
