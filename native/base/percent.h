// Percent-encoding of names: `%` and two upper-case hex digits stand for one byte.
//
//   text    = *( plain | "%" HEX HEX )
//   encoded = "%" / ";" / control characters (00-1F, 7F) / each byte of no valid UTF-8 sequence
#pragma once

#include <string>
#include <string_view>

#include "backupkit/error.h"

namespace backupkit {

// True when percent_encode() would change `text`.
[[nodiscard]] bool needs_percent(std::string_view text);

// `text` as valid UTF-8 without `;` and control characters.
[[nodiscard]] std::string percent_encode(std::string_view text);

// The bytes that `text` stands for; hex digits of either case. Error kInvalidArgument: a `%`
// without two hex digits behind it, or an encoded NUL.
[[nodiscard]] Result<std::string> percent_decode(std::string_view text);

}  // namespace backupkit
