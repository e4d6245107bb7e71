#include "native/service/recovery.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/base/log.h"
#include "native/base/syscall.h"
#include "native/io/path.h"
#include "native/service/catalog.h"
#include "native/service/ground.h"

namespace backupkit {
namespace {

constexpr const char* kNotes = "var/lib/backupkit/restores";
constexpr const char* kLeft = ".backup/transaction";

// Whether an interrupted restore is in the bundle's sandbox.
bool has_left(BorrowedFd root, const std::string& name) {
  const auto bundle = read_bundle(root, name);
  if (!bundle) return false;
  constexpr int kFlags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  const UniqueFd sandbox(
      retry([&] { return ::openat(root.get(), bundle->sandbox.c_str(), kFlags); }));
  struct stat found{};
  if (!sandbox.is_open()) return errno != ENOENT;
  // What cannot be seen may be there: its extension knows.
  return ::fstatat(sandbox.get(), kLeft, &found, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

Result<bool> recover_all(BorrowedFd root) {
  auto names = installed_bundles(root);
  if (!names) return failure(names.error());
  auto noted = noted_restores(root);
  if (!noted) return failure(noted.error());
  std::erase_if(*names, [&](const std::string& name) {
    return !has_left(root, name) && std::ranges::find(*noted, name) == noted->end();
  });
  auto loop = Loop::make();
  if (!loop) return failure(loop.error());
  RecoveryRun run(**loop, root, std::move(*names), [&] { (*loop)->stop(); });
  (void)(*loop)->call_at(Loop::Clock::now(), [&] { run.start(); });
  if (auto ran = (*loop)->run(); !ran) return failure(ran.error());
  return run.is_clean();
}

Result<bool> recover_root(const std::string& path) {
  auto root = open_root(path);
  if (!root) return failure(root.error());
  auto lock = lock_root(root->borrow(), path);
  if (!lock) return failure(lock.error());
  return recover_all(root->borrow());
}

}  // namespace

Result<void> note_restore(BorrowedFd root, const std::string& bundle) {
  auto notes = make_directories(root, kNotes, 0700);
  if (!notes) return failure(notes.error());
  constexpr int kFlags = O_WRONLY | O_CREAT | O_CLOEXEC;
  const UniqueFd note(
      retry([&] { return ::openat(notes->get(), bundle.c_str(), kFlags, mode_t{0600}); }));
  if (!note.is_open()) return errno_failure("a note of the restore");
  if (::fsync(notes->get()) != 0) return errno_failure("a note of the restore");
  return {};
}

void forget_restore(BorrowedFd root, const std::string& bundle) {
  const auto notes = open_beneath(root, kNotes, O_RDONLY | O_DIRECTORY);
  if (!notes) return;
  // One that stays costs a look into the sandbox at the next start.
  (void)::unlinkat(notes->get(), bundle.c_str(), 0);
}

Result<std::vector<std::string>> noted_restores(BorrowedFd root) {
  std::vector<std::string> bundles;
  auto notes = open_beneath(root, kNotes, O_RDONLY | O_DIRECTORY);
  if (!notes && notes.error().sys_errno == ENOENT) return bundles;
  if (!notes) return failure(notes.error());
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(notes->get()), &::closedir);
  if (listing == nullptr) return errno_failure(kNotes);
  (void)notes->release();  // closedir() closes it
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(listing.get());  // NOLINT(concurrency-mt-unsafe): own DIR
    if (entry == nullptr && errno != 0) return errno_failure(kNotes);
    if (entry == nullptr) return bundles;
    const std::string_view name = static_cast<const char*>(entry->d_name);
    if (is_bundle_name(name)) bundles.emplace_back(name);
  }
}

void RecoveryRun::next() {
  while (!bundles_.empty()) {
    const auto bundle = std::move(bundles_.back());
    bundles_.pop_back();
    auto inquiry = Inquiry::app_call(loop_, root_, bundle, AppCall::kRecover, "");
    if (!inquiry) {
      on_answer(bundle, failure(inquiry.error()));
      continue;
    }
    inquiry_ = std::move(*inquiry);
    inquiry_->then([this, bundle](const Result<Answer>& answer) {
      const auto done = std::move(inquiry_);
      on_answer(bundle, answer);
      next();
    });
    return;
  }
  ended_();
}

void RecoveryRun::on_answer(const std::string& bundle, const Result<Answer>& answer) {
  if (answer) return forget_restore(root_, bundle);
  clean_ = false;
  log_line("recovery of '" + bundle + "': " + answer.error().message());
}

int recover_main(int argc, char** argv) {
  std::string path = "/";
  if (argc == 4 && std::string_view(argv[2]) == "--root") {
    path = argv[3];
  } else if (argc != 2) {
    log_line("usage: backupd --recover [--root DIR]");
    return 2;
  }
  (void)std::signal(SIGPIPE, SIG_IGN);
  auto clean = recover_root(path);
  if (!clean) log_line(clean.error().message());
  return clean && *clean ? 0 : 1;
}

}  // namespace backupkit
