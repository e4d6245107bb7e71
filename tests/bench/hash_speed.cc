// hash_speed FILE: prints how many GB/s are hashed, in a line each: of bytes that are in the
// processor's cache, and of a file that is read for it.

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <span>

#include "backupkit/unique_fd.h"
#include "native/base/bytes.h"
#include "native/base/hash.h"
#include "native/base/syscall.h"
#include "tests/bench/stopwatch.h"

namespace backupkit {
namespace {

constexpr size_t kBuffer = size_t{256} << 10U;
constexpr int kTimes = 4096;

void print(uint64_t bytes, const Stopwatch& watch) {
  std::printf("%.6f\n", static_cast<double>(bytes) / watch.seconds() / 1e9);
}

void hash_in_cache() {
  const Bytes buffer(kBuffer, 1);
  Hasher hasher;
  const Stopwatch watch;
  for (int i = 0; i < kTimes; ++i) hasher.update(buffer);
  (void)hasher.finish();  // only the time counts
  print(uint64_t{kBuffer} * kTimes, watch);
}

bool hash_file(const char* path) {
  const UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC));
  Bytes buffer(kBuffer);
  Hasher hasher;
  uint64_t bytes = 0;
  const Stopwatch watch;
  while (true) {
    const auto got = retry([&] { return ::read(file.get(), buffer.data(), buffer.size()); });
    if (got < 0) return false;
    if (got == 0) break;
    hasher.update(std::span(buffer).first(static_cast<size_t>(got)));
    bytes += static_cast<uint64_t>(got);
  }
  (void)hasher.finish();  // only the time counts
  print(bytes, watch);
  return true;
}

}  // namespace
}  // namespace backupkit

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: hash_speed FILE\n", stderr);
    return 2;
  }
  backupkit::hash_in_cache();
  return backupkit::hash_file(argv[1]) ? 0 : 1;
}
