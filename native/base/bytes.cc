#include "native/base/bytes.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace backupkit {

void ByteWriter::put_text(std::string_view text) {
  put(static_cast<uint32_t>(text.size()));
  bytes_.insert(bytes_.end(), text.begin(), text.end());
}

void ByteWriter::put_bytes(std::span<const uint8_t> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void ByteWriter::patch_u32(size_t offset, uint32_t value) {
  for (size_t i = 0; i < sizeof(value); ++i) {
    bytes_.at(offset + i) = static_cast<uint8_t>(value >> (8 * i));
  }
}

std::string ByteReader::get_text(size_t limit) {
  const auto length = get<uint32_t>();
  if (length > limit) {
    if (ok_) passed_ = limit;
    ok_ = false;
    rest_ = {};
    return {};
  }
  const auto raw = take(length);
  return {raw.begin(), raw.end()};
}

std::span<const uint8_t> ByteReader::take(size_t count) {
  if (!ok_ || count > rest_.size()) {
    ok_ = false;
    rest_ = {};
    return {};
  }
  const auto taken = rest_.first(count);
  rest_ = rest_.subspan(count);
  return taken;
}

}  // namespace backupkit
