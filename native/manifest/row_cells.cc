#include "native/manifest/row_cells.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace backupkit {
namespace {

constexpr std::array kLetters{
    std::pair{EntryType::kFile, 'f'},       std::pair{EntryType::kDirectory, 'd'},
    std::pair{EntryType::kSymlink, 'l'},    std::pair{EntryType::kFifo, 'p'},
    std::pair{EntryType::kCharDevice, 'c'}, std::pair{EntryType::kBlockDevice, 'b'},
    std::pair{EntryType::kHardLink, 'h'},
};

}  // namespace

// The digits of the seconds and those of the rest side by side: no integer holds their product.
void put_nanoseconds(std::string& out, Timestamp time) {
  auto seconds = static_cast<uint64_t>(time.seconds);
  uint32_t rest = time.nanoseconds;
  if (time.seconds < 0) {
    out += '-';
    seconds = uint64_t{0} - seconds;
    if (rest > 0) --seconds;
    if (rest > 0) rest = kSecond - rest;
  }
  if (seconds == 0) return put_number(out, rest);
  put_number(out, seconds);
  const size_t begin = out.size();
  put_number(out, rest);
  out.insert(begin, kSecondDigits - (out.size() - begin), '0');
}

char letter_of(EntryType type) {
  return std::ranges::find(kLetters, type, &std::pair<EntryType, char>::first)->second;
}

bool is_hex(std::string_view text, size_t length, bool any_case) {
  const auto is_digit = [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (any_case && c >= 'A' && c <= 'F');
  };
  return text.size() == length && std::ranges::all_of(text, is_digit);
}

bool is_xxh3(std::string_view text) {
  return text.starts_with("xxh3:") && is_hex(text.substr(5), 32, false);
}

bool is_hash(std::string_view text) {
  if (is_xxh3(text)) return true;
  if (text.starts_with("sha256:")) return is_hex(text.substr(7), 64, false);
  return text.empty();
}

}  // namespace backupkit
