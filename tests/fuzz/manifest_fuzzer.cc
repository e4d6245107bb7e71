// Any text as a manifest: an error, or rows that are the same when written and read again.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "native/manifest/manifest_reader.h"

using backupkit::ManifestVersion;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const backupkit::UniqueFd in(::memfd_create("fuzz", MFD_CLOEXEC));
  check(::ftruncate(in.get(), static_cast<off_t>(size)) == 0);
  check(::pwrite(in.get(), data, size, 0) == static_cast<ssize_t>(size));
  auto reader = backupkit::ManifestReader::open(in.borrow());
  if (!reader) check(reader.error().code == backupkit::Code::kInvalidArgument);
  while (reader) {
    const auto row = (*reader)->next();
    if (!row) check(row.error().code == backupkit::Code::kInvalidArgument);
    if (!row || !*row) return 0;
    std::string line;
    // What version 1 says is too little for a row of version 2, and a path may be longer encoded.
    if ((*reader)->version() == ManifestVersion::k1 || !append_row(**row, line)) continue;
    line.pop_back();
    const auto again = backupkit::read_row(line, ManifestVersion::k2);
    check(again && *again == **row);
  }
  return 0;
}
