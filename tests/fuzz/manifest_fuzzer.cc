// Any text as a manifest: an error, or rows that are the same when written and read again.
#include <cstddef>
#include <cstdint>
#include <string>

#include "native/manifest/manifest_reader.h"
#include "tests/fuzz/fuzzer.h"

using backupkit::check;
using backupkit::ManifestVersion;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const backupkit::UniqueFd in = backupkit::memory_file();
  backupkit::set_content(in.borrow(), {data, size});
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
