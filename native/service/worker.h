// A child process of the service and the conversation with it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "native/io/end_child.h"
#include "native/service/peer.h"

namespace backupkit {

// Another backupd, told by its first argument what it is. Killed by the destructor if it still
// runs. Every handler may destroy the Worker.
class Worker {
 public:
  struct Handlers {
    std::function<void(Frame)> frame;
    std::function<void(Error)> broken;  // it broke the grammar; it is being killed
    // It has ended, and everything that it had sent was handed out. As the last. No status: it was
    // killed and does not end, since it waits in the kernel.
    std::function<void(std::optional<int> status)> exit;
  };

  [[nodiscard]] static Result<std::unique_ptr<Worker>> start(
      Loop& loop, const std::vector<std::string>& arguments, Handlers handlers);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void say(Frame frame);
  // Its exit follows within two seconds.
  void kill();

  // Has `gone` called, which must not depend on this, when a process that did not end has ended.
  void when_gone(std::function<void()> gone) { gone_ = std::move(gone); }

 private:
  Worker(Loop& loop, Handlers handlers)
      : loop_(loop), handlers_(std::make_shared<Handlers>(std::move(handlers))) {}

  void on_exit();
  void leave();

  Loop& loop_;
  std::shared_ptr<const Handlers> handlers_;  // held by whoever calls one: it may destroy this
  Child child_;
  std::function<void()> gone_;
  Loop::TimerId patience_ = 0;
  std::unique_ptr<Peer> peer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace backupkit
