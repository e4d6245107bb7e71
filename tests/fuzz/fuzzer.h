// What the fuzzers have in common.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <source_location>
#include <span>
#include <string>
#include <string_view>

#include "backupkit/unique_fd.h"
#include "tests/native/open_descriptors.h"

namespace backupkit {

// Where it does not hold, the fuzzer has found something.
inline void check(bool holds, std::source_location where = std::source_location::current()) {
  if (holds) return;
  (void)std::fprintf(stderr, "%s:%u: this does not hold\n", where.file_name(),
                     static_cast<unsigned>(where.line()));
  std::abort();
}

inline std::string_view text_of(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline UniqueFd memory_file() { return UniqueFd(::memfd_create("fuzz", MFD_CLOEXEC)); }

inline void set_content(BorrowedFd file, std::span<const uint8_t> bytes) {
  check(::ftruncate(file.get(), static_cast<off_t>(bytes.size())) == 0);
  check(::pwrite(file.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
}

// Nothing that was opened while it lives is open at its end.
class NothingLeftOpen {
 public:
  NothingLeftOpen() = default;
  NothingLeftOpen(const NothingLeftOpen&) = delete;
  NothingLeftOpen& operator=(const NothingLeftOpen&) = delete;
  ~NothingLeftOpen() { check(open_descriptors() == before_); }

 private:
  const std::map<int, std::string> before_ = open_descriptors();
};

}  // namespace backupkit
