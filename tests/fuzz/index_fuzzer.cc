// Any text as manage.json: an error, or items that are the same when written and read again.
#include <cstddef>
#include <cstdint>

#include "native/manifest/index.h"
#include "tests/fuzz/fuzzer.h"

using backupkit::check;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto items = backupkit::read_index(backupkit::text_of({data, size}));
  if (!items) return 0;
  const auto again = backupkit::read_index(backupkit::write_index(*items));
  check(again && again->size() == items->size());
  for (size_t i = 0; i < items->size(); ++i) {
    const auto& a = (*items)[i];
    const auto& b = (*again)[i];
    // What belongs to a big file only is not written of a part.
    check(!a.is_big_file ||
          (a.path == b.path && a.xattrs == b.xattrs && a.holes == b.holes && a.size == b.size));
  }
  return 0;
}
