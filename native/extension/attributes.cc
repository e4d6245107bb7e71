#include "native/extension/attributes.h"

#include <iterator>
#include <utility>

#include "native/io/holes.h"

namespace backupkit {

Result<Xattrs> kept_xattrs(const ScanEntry& found, BorrowedFd file, Labels labels) {
  auto xattrs = file.is_open() ? read_xattrs(file) : read_xattrs(found.parent, found.name);
  if (!xattrs || labels != Labels::kNone) return xattrs;
  for (auto at = xattrs->begin(); at != xattrs->end();) {
    at = is_label(at->first) ? xattrs->erase(at) : std::next(at);
  }
  return xattrs;
}

Result<void> read_attributes(ScanEntry& found, BorrowedFd file, Labels labels) {
  auto xattrs = kept_xattrs(found, file, labels);
  if (!xattrs) return failure(xattrs.error());
  found.xattrs = std::move(*xattrs);
  if (!file.is_open()) return {};
  auto holes = holes_of(file, found.size);
  if (!holes) return failure(holes.error());
  found.holes = std::move(*holes);
  return {};
}

}  // namespace backupkit
