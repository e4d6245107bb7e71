#include "native/service/notes.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "native/base/syscall.h"
#include "native/io/path.h"
#include "native/service/catalog.h"

namespace backupkit {
namespace {

const char* folder_of(Note what) {
  return what == Note::kRestore ? "var/lib/backupkit/restores" : "var/lib/backupkit/frozen";
}

}  // namespace

Result<void> note(BorrowedFd root, Note what, const std::string& bundle) {
  auto notes = make_directories(root, folder_of(what), 0700);
  if (!notes) return failure(notes.error());
  constexpr int kFlags = O_WRONLY | O_CREAT | O_CLOEXEC;
  const UniqueFd note(
      retry([&] { return ::openat(notes->get(), bundle.c_str(), kFlags, mode_t{0600}); }));
  if (!note.is_open()) return errno_failure("a note of '" + bundle + "'");
  if (::fsync(notes->get()) != 0) return errno_failure("a note of '" + bundle + "'");
  return {};
}

void forget(BorrowedFd root, Note what, const std::string& bundle) {
  const auto notes = open_beneath(root, folder_of(what), O_RDONLY | O_DIRECTORY);
  if (!notes) return;
  // One that stays costs a look at the bundle at the next start.
  (void)::unlinkat(notes->get(), bundle.c_str(), 0);
}

Result<std::vector<std::string>> noted(BorrowedFd root, Note what) {
  std::vector<std::string> bundles;
  auto notes = open_beneath(root, folder_of(what), O_RDONLY | O_DIRECTORY);
  if (!notes && notes.error().sys_errno == ENOENT) return bundles;
  if (!notes) return failure(notes.error());
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(notes->get()), &::closedir);
  if (listing == nullptr) return errno_failure(folder_of(what));
  (void)notes->release();  // closedir() closes it
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(listing.get());  // NOLINT(concurrency-mt-unsafe): own DIR
    if (entry == nullptr && errno != 0) return errno_failure(folder_of(what));
    if (entry == nullptr) return bundles;
    const std::string_view name = static_cast<const char*>(entry->d_name);
    if (is_bundle_name(name)) bundles.emplace_back(name);
  }
}

}  // namespace backupkit
