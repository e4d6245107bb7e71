// Any text as manage.json: an error, or items that are the same when written and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "native/manifest/index.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto items = backupkit::read_index({reinterpret_cast<const char*>(data), size});
  if (!items) return 0;
  const auto again = backupkit::read_index(backupkit::write_index(*items));
  if (!again || again->size() != items->size()) std::abort();
  for (size_t i = 0; i < items->size(); ++i) {
    const auto& a = (*items)[i];
    const auto& b = (*again)[i];
    if (a.path != b.path || a.xattrs != b.xattrs || a.holes != b.holes || a.size != b.size) {
      // What belongs to a big file only is not written of a part.
      if (a.is_big_file) std::abort();
    }
  }
  return 0;
}
