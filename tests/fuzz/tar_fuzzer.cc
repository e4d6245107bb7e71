// Any bytes as an archive: an error or well-formed entries.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "backupkit/unique_fd.h"
#include "native/archive/tar_encode.h"
#include "native/archive/tar_reader.h"
#include "tests/fuzz/fuzzer.h"

using backupkit::check;
using backupkit::UniqueFd;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const UniqueFd in = backupkit::memory_file();
  static const UniqueFd out = backupkit::memory_file();
  backupkit::set_content(in.borrow(), {data, size});
  backupkit::TarReader reader(in.borrow(), size);
  for (;;) {
    auto entry = reader.next();
    if (!entry) check(entry.error().code == backupkit::Code::kUnpackFailed);
    if (!entry || !*entry) return 0;
    check(backupkit::are_extents((*entry)->holes, (*entry)->size));
    check(backupkit::are_xattrs((*entry)->xattrs));
    check(!(*entry)->path.empty() && !(*entry)->path.ends_with('/'));
    check(::ftruncate(out.get(), 0) == 0 && ::lseek(out.get(), 0, SEEK_SET) == 0);
    const auto copied = reader.copy_content(out.borrow());
    check(copied || copied.error().sys_errno != 0);  // a size that no file can have
    if (copied) check(::lseek(out.get(), 0, SEEK_CUR) == static_cast<off_t>((*entry)->size));
    std::string header;
    if ((*entry)->type == backupkit::EntryType::kHardLink) (*entry)->size = 0;
    (void)backupkit::encode_header(**entry, header);  // a long path or device may not be writable
  }
}
