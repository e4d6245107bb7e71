// The process of an app's hook program: how it is started and how it ends. What is said on its
// channel is the extension's business (native/extension/hook.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "native/io/end_child.h"
#include "native/io/loop.h"
#include "native/service/hook_program.h"

namespace backupkit {

// A running hook program. Killed by the destructor if it still runs.
class HookProcess {
 public:
  // The paths of `program` may be relative to the device root. `exit` is called when it has ended;
  // it may destroy this. Error kExtensionStartFailed: there is no such program, or nothing under
  // one of the paths that it is to reach beside the sandbox.
  [[nodiscard]] static Result<std::unique_ptr<HookProcess>> start(Loop& loop, HookProgram program,
                                                                  BorrowedFd root,
                                                                  std::function<void()> exit);
  ~HookProcess();
  HookProcess(const HookProcess&) = delete;
  HookProcess& operator=(const HookProcess&) = delete;

  // A duplicate of our end of its channel, for the extension.
  [[nodiscard]] Result<UniqueFd> channel() const;

  // Nobody else speaks to it, or listens, any more. Sends `last_request`, if it is not empty, ends
  // its input, and kills it, with what it has started, if it has not ended after five seconds.
  void finish(const std::string& last_request);

  // Its exit follows within two seconds, though its process may wait in the kernel for longer.
  void kill();

 private:
  HookProcess(Loop& loop, std::string bundle, std::function<void()> exit)
      : loop_(loop), bundle_(std::move(bundle)), exit_(std::move(exit)) {}

  void on_exit();

  Loop& loop_;
  std::string bundle_;
  std::function<void()> exit_;
  UniqueFd channel_;
  Child child_;
  Loop::TimerId patience_ = 0;
};

}  // namespace backupkit
