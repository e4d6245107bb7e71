// A child process of the service and the conversation with it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "native/io/process.h"
#include "native/service/peer.h"

namespace backupkit {

// Another backupd, told by its first argument what it is. Killed and reaped by the destructor if it
// still runs. Every handler may destroy the Worker.
class Worker {
 public:
  struct Handlers {
    std::function<void(Frame)> frame;
    std::function<void(Error)> broken;  // it broke the grammar; it is being killed
    // It has ended, and everything that it had sent was handed out. As the last.
    std::function<void(int status)> exit;
  };

  [[nodiscard]] static Result<std::unique_ptr<Worker>> start(
      Loop& loop, const std::vector<std::string>& arguments, Handlers handlers);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void say(Frame frame);
  void kill() { kill_child(child_); }

 private:
  Worker(Loop& loop, Handlers handlers)
      : loop_(loop), handlers_(std::make_shared<Handlers>(std::move(handlers))) {}

  void on_exit();

  Loop& loop_;
  std::shared_ptr<const Handlers> handlers_;  // held by whoever calls one: it may destroy this
  Child child_;
  std::unique_ptr<Peer> peer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace backupkit
