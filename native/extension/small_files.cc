#include "native/extension/small_files.h"

#include <cerrno>
#include <string>
#include <utility>

namespace backupkit {

Result<Handling> handling_of(const Error& error) {
  if (error.code == Code::kOutOfMemory) return failure(error);
  Handling handling;
  handling.fate = is_gone(error.sys_errno) ? Fate::kVanished : Fate::kUnreadable;
  handling.sys_errno = error.sys_errno;
  return handling;
}

Result<Handling> SmallFiles::pack(ScanEntry& found, BorrowedFd copy) {
  for (int reading = 0; reading < kMostReadings; ++reading) {
    auto content = copy.is_open() ? Content::of_copy(copy) : Content::open(found, labels_);
    if (!content) return handling_of(content.error());
    Handling handling;
    handling.grew = found.size > limit_;
    if (handling.grew) return handling;
    if (reading > 0) ++work_.resent;
    auto done = try_to_pack(found, *content, handling);
    if (!done) return failure(done.error());
    if (*done) return handling;
  }
  return Handling{.fate = Fate::kUnstable};
}

// False: it changed meanwhile, and nothing of it is in the part.
Result<bool> SmallFiles::try_to_pack(const ScanEntry& found, const Content& content,
                                     Handling& handling) {
  auto packed = parts_.add_file(header_of(found), content.file());
  if (!packed && packed.error().code != Code::kPackFailed) return failure(packed.error());
  bool unchanged = content.is_unchanged();
  if (packed && unchanged && content.is_young()) {
    auto again = hasher_.hash(content.file(), found.size, found.holes, found.path);
    if (!again && again.error().code == Code::kClosed) return failure(again.error());
    unchanged = again && *again == packed->hash && content.is_unchanged();
  }
  if (packed && unchanged) {
    handling.in = std::move(packed->part);
    handling.hash = std::move(packed->hash);
    return true;
  }
  if (auto gone = parts_.take_back(); !gone) return failure(gone.error());
  if (!unchanged) return false;
  handling.fate = Fate::kUnreadable;
  // Without an errno it has less than it says that it has.
  handling.sys_errno = packed.error().sys_errno != 0 ? packed.error().sys_errno : EIO;
  return true;
}

}  // namespace backupkit
