// A time as the file system keeps it.
#pragma once

#include <compare>
#include <cstdint>

namespace backupkit {

// Before 1970 the seconds are negative; the nanoseconds always count forward, 0..999999999.
struct Timestamp {
  int64_t seconds = 0;
  uint32_t nanoseconds = 0;
  friend auto operator<=>(const Timestamp&, const Timestamp&) = default;
};

}  // namespace backupkit
