// An app that stands still while its data is looked at: the freezer of its cgroup (v2).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "native/io/loop.h"
#include "native/service/catalog.h"
#include "native/service/worker.h"

namespace backupkit {

// Freezes an app for as long as this exists, and at most for the limit of its bundle. It is thawed
// by the destructor; when that never runs by a process that watches this one; when both are killed
// by the next service, for which there is a note. Runs on the loop's thread.
class Freezer {
 public:
  // `frozen` is called once, later: the app stands still, or cannot be brought to within its limit,
  // or has no cgroup, since it does not run. It must not destroy this. `root` outlives it. Error:
  // what there is cannot be frozen.
  [[nodiscard]] static Result<std::unique_ptr<Freezer>> start(Loop& loop, BorrowedFd root,
                                                              const Bundle& bundle,
                                                              std::function<void()> frozen);
  ~Freezer();
  Freezer(const Freezer&) = delete;
  Freezer& operator=(const Freezer&) = delete;

 private:
  Freezer(Loop& loop, BorrowedFd root, std::string bundle, std::function<void()> frozen)
      : loop_(loop), root_(root), bundle_(std::move(bundle)), frozen_(std::move(frozen)) {}

  void thaw();
  void on_frame(const Frame& frame);
  void tell();

  Loop& loop_;
  BorrowedFd root_;
  std::string bundle_;
  std::function<void()> frozen_;
  UniqueFd switch_;  // cgroup.freeze
  std::unique_ptr<Worker> guard_;
  Loop::TimerId telling_ = 0;
};

// Thaws what a service that was killed has left frozen.
void thaw_left(BorrowedFd root);

// The main of `backupd --freeze MILLISECONDS`: descriptor 3 is its channel to the service, which
// gives it the directory of a cgroup. Freezes that, says so, and thaws it when the channel is
// closed or the time is over.
int freeze_main(int argc, char** argv);

}  // namespace backupkit
