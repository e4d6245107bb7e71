// Any bytes as an ACL in either form: none, or one that is the same in the other form and back.
#include <cstddef>
#include <cstdint>
#include <string>

#include "native/archive/acl.h"
#include "tests/fuzz/fuzzer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using backupkit::check;
  const auto bytes = backupkit::text_of({data, size});
  // The text has no ids that mean nothing, and another order.
  if (const auto text = backupkit::acl_text(bytes)) {
    const auto xattr = backupkit::acl_xattr(*text);
    check(xattr && xattr->size() == bytes.size());
  }
  if (const auto xattr = backupkit::acl_xattr(bytes)) {
    const auto text = backupkit::acl_text(*xattr);
    check(text && backupkit::acl_xattr(*text) == *xattr);
  }
  return 0;
}
