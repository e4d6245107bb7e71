// Where a header keeps what, for those who write and read one (the grammar is in tar_header.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "native/archive/tar_header.h"

namespace backupkit::tar {

// A field of the header: where it is, how long, and for numbers the greatest value whose octal
// digits leave room for a NUL.
struct Field {
  size_t offset;
  size_t length;

  [[nodiscard]] constexpr uint64_t greatest() const {
    return (uint64_t{1} << (3 * (length - 1))) - 1;
  }
};

inline constexpr Field kName{0, 100};
inline constexpr Field kMode{100, 8};
inline constexpr Field kUid{108, 8};
inline constexpr Field kGid{116, 8};
inline constexpr Field kSize{124, 12};
inline constexpr Field kMtime{136, 12};
inline constexpr Field kChecksum{148, 8};
inline constexpr size_t kType = 156;
inline constexpr Field kLinkName{157, 100};
inline constexpr Field kMagic{257, 8};
inline constexpr Field kDevMajor{329, 8};
inline constexpr Field kDevMinor{337, 8};
inline constexpr Field kPrefix{345, 155};

inline constexpr std::string_view kPosixMagic{"ustar\00000", 8};
inline constexpr std::string_view kGnuMagic{"ustar  \0", 8};

// In a header of type 'S', and in the blocks behind it: pairs of offset and length, then whether
// another block follows.
inline constexpr size_t kSparseAt = 386;
inline constexpr size_t kSparsePairs = 4;
inline constexpr size_t kSparseGoesOn = 482;
inline constexpr Field kRealSize{483, 12};
inline constexpr size_t kMoreSparsePairs = 21;
inline constexpr size_t kMoreSparseGoesOn = 504;
inline constexpr size_t kSparseNumber = 12;

// The sum of the block's bytes with spaces for the checksum itself.
[[nodiscard]] constexpr int64_t checksum_of(std::span<const uint8_t, kTarBlock> block,
                                            bool as_signed) {
  const auto value = [&](uint8_t byte) {
    return as_signed ? int{static_cast<int8_t>(byte)} : int{byte};
  };
  int sum = 0;
  for (const uint8_t byte : block) sum += value(byte);
  for (const uint8_t byte : block.subspan(kChecksum.offset, kChecksum.length)) {
    sum += ' ' - value(byte);
  }
  return sum;
}

}  // namespace backupkit::tar
