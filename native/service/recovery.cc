#include "native/service/recovery.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/base/log.h"
#include "native/io/sandbox.h"
#include "native/service/aside.h"
#include "native/service/catalog.h"
#include "native/service/ground.h"
#include "native/service/notes.h"

namespace backupkit {
namespace {

constexpr const char* kLeft = ".backup/transaction";
constexpr auto kPatience = std::chrono::seconds(10);  // with a file system

// Whether an interrupted restore is in the bundle's sandbox. What cannot be seen may be there: its
// extension knows.
bool has_left(BorrowedFd root, const std::string& name) {
  const auto bundle = read_bundle(root, name);
  if (!bundle) return false;
  const auto left = do_aside<bool>(kPatience, [root, path = bundle->sandbox.path](Pulse&) {
    const auto sandbox = open_sandbox(root, path);
    if (!sandbox) return Result<bool>(sandbox.error().sys_errno != ENOENT);
    struct stat found{};
    return Result<bool>(::fstatat(sandbox->get(), kLeft, &found, AT_SYMLINK_NOFOLLOW) == 0 ||
                        errno != ENOENT);
  });
  return left.value_or(true);
}

Result<bool> recover_all(BorrowedFd root) {
  auto names = installed_bundles(root);
  if (!names) return failure(names.error());
  auto interrupted = noted(root, Note::kRestore);
  if (!interrupted) return failure(interrupted.error());
  std::erase_if(*names, [&](const std::string& name) {
    return !has_left(root, name) && std::ranges::find(*interrupted, name) == interrupted->end();
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

void RecoveryRun::next() {
  while (!bundles_.empty()) {
    const auto bundle = std::move(bundles_.back());
    bundles_.pop_back();
    auto inquiry = Inquiry::app_call(loop_, root_, bundle, AppCall::kRecover, "", nullptr);
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
  if (answer) return forget(root_, Note::kRestore, bundle);
  clean_ = false;
  log_failure(LogLevel::kError, "recovery of '" + bundle + "'", answer.error());
}

int recover_main(int argc, char** argv) {
  open_log(LogLevel::kWarning, false);
  std::string path = "/";
  if (argc == 4 && std::string_view(argv[2]) == "--root") {
    path = argv[3];
  } else if (argc != 2) {
    log_line(LogLevel::kError, "usage: backupd --recover [--root DIR]");
    return 2;
  }
  (void)std::signal(SIGPIPE, SIG_IGN);
  auto clean = recover_root(path);
  if (!clean) log_failure(LogLevel::kError, "recovery below '" + path + "'", clean.error());
  return clean && *clean ? 0 : 1;
}

}  // namespace backupkit
