// The process of an app's hook program: how it is started and how it ends. What is said on its
// channel is the extension's business (native/extension/hook.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "native/io/loop.h"
#include "native/io/process.h"
#include "native/service/hook_program.h"

namespace backupkit {

// What a hook program is started with. In `program` paths may be relative to the device root, and
// the sandbox's is not said.
struct HookPlan {
  HookProgram program;
  BorrowedFd root;
  BorrowedFd sandbox;
};

// A running hook program. Killed and reaped by the destructor if it still runs.
class HookProcess {
 public:
  // `exit` is called when it has ended; it may destroy this. Error kExtensionStartFailed: there is
  // no such program, or nothing under one of the paths.
  [[nodiscard]] static Result<std::unique_ptr<HookProcess>> start(Loop& loop, const HookPlan& plan,
                                                                  std::function<void()> exit);
  ~HookProcess();
  HookProcess(const HookProcess&) = delete;
  HookProcess& operator=(const HookProcess&) = delete;

  // A duplicate of our end of its channel, for the extension.
  [[nodiscard]] Result<UniqueFd> channel() const;

  // Nobody else speaks to it, or listens, any more. Sends `last_request`, if it is not empty, ends
  // its input, and kills it, with what it has started, if it has not ended after five seconds.
  void finish(const std::string& last_request);

  void kill() { kill_group(child_); }

 private:
  HookProcess(Loop& loop, std::string bundle, std::function<void()> exit)
      : loop_(loop), bundle_(std::move(bundle)), exit_(std::move(exit)) {}

  Loop& loop_;
  std::string bundle_;
  std::function<void()> exit_;
  UniqueFd channel_;
  Child child_;
  Loop::TimerId patience_ = 0;
};

}  // namespace backupkit
