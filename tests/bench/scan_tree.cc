// scan_tree DIRECTORY: walks a tree as a backup does, in the order of its manifest, and does
// nothing with it. Prints how many entries there are.

#include <fcntl.h>

#include <cstdint>
#include <cstdio>

#include "native/manifest/scan.h"

int main(int argc, char** argv) {
  using namespace backupkit;
  if (argc != 2) {
    std::fputs("usage: scan_tree DIRECTORY\n", stderr);
    return 2;
  }
  const UniqueFd top(::open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  uint64_t entries = 0;
  const ScanHandlers handlers{.visit = [&](const ScanEntry&) -> Result<void> {
                                ++entries;
                                return {};
                              },
                              .miss = [](const Missed&) -> Result<void> { return {}; }};
  const auto scanned = scan(top.borrow(), Rules::make({"*"}, {}), handlers);
  std::printf("%ju\n", uintmax_t{entries});
  return scanned ? 0 : 1;
}
