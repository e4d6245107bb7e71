#include "native/extension/attributes.h"

#include <iterator>
#include <utility>

#include "native/io/holes.h"
#include "native/io/xattr.h"

namespace backupkit {

Result<void> read_attributes(ScanEntry& found, BorrowedFd file, Labels labels) {
  auto xattrs = file.is_open() ? read_xattrs(file) : read_xattrs(found.parent, found.name);
  if (!xattrs) return failure(xattrs.error());
  found.xattrs = std::move(*xattrs);
  for (auto at = found.xattrs.begin(); labels == Labels::kNone && at != found.xattrs.end();) {
    at = is_label(at->first) ? found.xattrs.erase(at) : std::next(at);
  }
  if (!file.is_open()) return {};
  auto holes = holes_of(file, found.size, found.blocks);
  if (!holes) return failure(holes.error());
  found.holes = std::move(*holes);
  return {};
}

}  // namespace backupkit
