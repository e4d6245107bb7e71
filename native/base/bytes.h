// Little-endian encoding and bounds-checked decoding of bytes from a peer.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace backupkit {

using Bytes = std::vector<uint8_t>;

// Appends values to a buffer. A text is a u32 length and its bytes.
class ByteWriter {
 public:
  template <typename T>
    requires std::is_integral_v<T>
  void put(T value) {
    auto bits = static_cast<std::make_unsigned_t<T>>(value);
    for (size_t i = 0; i < sizeof(T); ++i) {
      bytes_.push_back(static_cast<uint8_t>(static_cast<uint64_t>(bits) >> (8 * i)));
    }
  }

  void put_text(std::string_view text);
  void put_bytes(std::span<const uint8_t> bytes);

  // Overwrites the u32 at `offset`, which was put before.
  void patch_u32(size_t offset, uint32_t value);

  [[nodiscard]] size_t size() const { return bytes_.size(); }
  [[nodiscard]] const Bytes& bytes() const { return bytes_; }
  [[nodiscard]] Bytes take() { return std::move(bytes_); }
  void clear() { bytes_.clear(); }

 private:
  Bytes bytes_;
};

// Reads what ByteWriter wrote. The first read past the end makes the reader not ok(); from then on
// every read gives 0 or "", so a decoder checks once, at its end.
class ByteReader {
 public:
  explicit ByteReader(std::span<const uint8_t> bytes) : rest_(bytes) {}

  template <typename T>
    requires std::is_integral_v<T>
  [[nodiscard]] T get() {
    const auto raw = take(sizeof(T));
    uint64_t bits = 0;
    for (size_t i = 0; i < raw.size(); ++i) bits |= static_cast<uint64_t>(raw[i]) << (8 * i);
    return static_cast<T>(bits);
  }

  // A text of at most `limit` bytes; longer is not ok, and passed() says the limit then.
  [[nodiscard]] std::string get_text(size_t limit);

  // The next `count` bytes, a view into the source; empty when there are not as many.
  [[nodiscard]] std::span<const uint8_t> take(size_t count);

  [[nodiscard]] bool ok() const { return ok_; }
  // Everything was read and nothing is left over.
  [[nodiscard]] bool done() const { return ok_ && rest_.empty(); }
  [[nodiscard]] size_t left() const { return rest_.size(); }
  [[nodiscard]] std::optional<size_t> passed() const { return passed_; }

 private:
  std::span<const uint8_t> rest_;
  bool ok_ = true;
  std::optional<size_t> passed_;
};

}  // namespace backupkit
