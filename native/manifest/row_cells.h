// The cells of a manifest's row as text (the grammar is in manifest.h).
#pragma once

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "native/archive/tar_header.h"
#include "native/base/timestamp.h"

namespace backupkit {

inline constexpr uint32_t kSecond = 1'000'000'000;  // in nanoseconds
inline constexpr size_t kSecondDigits = 9;
inline constexpr std::string_view kUnknown = "?";  // a digest that is not known

template <typename T>
void put_number(std::string& out, T value) {
  std::array<char, 24> digits;  // NOLINT(cppcoreguidelines-pro-type-member-init): written first
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

void put_nanoseconds(std::string& out, Timestamp time);

// The letter of the column `type`.
[[nodiscard]] char letter_of(EntryType type);

// True for so many hex digits in lower case, or in any.
[[nodiscard]] bool is_hex(std::string_view text, size_t length, bool any_case);

[[nodiscard]] bool is_xxh3(std::string_view text);

// True for what the column `hash` may have.
[[nodiscard]] bool is_hash(std::string_view text);

}  // namespace backupkit
