// Any lines as the journal of a restore, with the end that vouches for them and without: an error,
// or a journal that is the same when written and read again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "native/base/hash.h"
#include "native/extension/journal.h"
#include "tests/fuzz/fuzzer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using backupkit::check;
  std::string text(backupkit::text_of({data, size}));
  backupkit::Hasher hasher;
  hasher.update({data, size});
  const auto lines = std::count(text.begin(), text.end(), '\n');
  const auto raw = backupkit::read_journal(text);
  text += R"({"end":)" + std::to_string(lines) + R"(,"hash":")" + hasher.finish() + "\"}\n";
  const auto journal = backupkit::read_journal(text);
  for (const auto& read : {raw, journal}) {
    if (!read) check(read.error().code == backupkit::Code::kIo);
    if (read) check(backupkit::read_journal(backupkit::write_journal(*read)) == *read);
  }
  return 0;
}
