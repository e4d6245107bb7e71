#include "native/base/percent.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "native/base/utf8.h"

namespace backupkit {
namespace {

// The length of what may stand for itself at `i`, or 0 when that byte must be encoded.
size_t plain_length(std::string_view text, size_t i) {
  const auto byte = static_cast<uint8_t>(text[i]);
  if (byte < 0x20 || byte == 0x7F || byte == '%' || byte == ';') return 0;
  return utf8_length(text, i);
}

int digit_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return -1;
}

}  // namespace

bool needs_percent(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = plain_length(text, i);
    if (length == 0) return true;
    i += length;
  }
  return false;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const size_t length = plain_length(text, i);
    if (length > 0) {
      encoded += text.substr(i, length);
      i += length;
      continue;
    }
    const auto byte = static_cast<uint8_t>(text[i++]);
    encoded += '%';
    encoded += kDigits[byte >> 4U];
    encoded += kDigits[byte & 15U];
  }
  return encoded;
}

Result<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const int high = text.size() - i > 2 ? digit_value(text[i + 1]) : -1;
    const int low = high >= 0 ? digit_value(text[i + 2]) : -1;
    if (low < 0) return failure(Code::kInvalidArgument, "a % without two hex digits behind it");
    const int byte = high * 16 + low;
    if (byte == 0) return failure(Code::kInvalidArgument, "an encoded NUL in a name");
    decoded += static_cast<char>(byte);
    i += 2;
  }
  return decoded;
}

}  // namespace backupkit
