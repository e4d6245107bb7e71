// Base64 (RFC 4648), for bytes inside of text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace backupkit {

// With the alphabet that has `+` and `/`, and `=` at the end.
[[nodiscard]] std::string base64_encode(std::string_view bytes);

// The bytes; nothing where `text` is not base64. The `=` at the end may be missing.
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);

}  // namespace backupkit
