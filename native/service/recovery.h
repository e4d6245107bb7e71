// Ends the restores that a crash or a power cut has interrupted.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "native/service/inquiry.h"

namespace backupkit {

// Has the extensions of some bundles end what is left in their sandboxes, one after the other, and
// writes to the log what cannot be ended. Runs on the loop's thread.
class RecoveryRun {
 public:
  // `root` outlives it. `ended` is called once.
  RecoveryRun(Loop& loop, BorrowedFd root, std::vector<std::string> bundles,
              std::function<void()> ended)
      : loop_(loop), root_(root), bundles_(std::move(bundles)), ended_(std::move(ended)) {}

  void start() { next(); }

  // Nothing interrupted is left, as far as it came.
  [[nodiscard]] bool is_clean() const { return clean_; }

 private:
  void next();
  void on_answer(const std::string& bundle, const Result<Answer>& answer);

  Loop& loop_;
  BorrowedFd root_;
  std::vector<std::string> bundles_;
  std::function<void()> ended_;
  std::unique_ptr<Inquiry> inquiry_;
  bool clean_ = true;
};

// The command `backupd --recover [--root DIR]`: looks into the sandbox of every bundle. Its exit
// status is 0 when nothing interrupted is left.
int recover_main(int argc, char** argv);

}  // namespace backupkit
