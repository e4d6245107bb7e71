// A thread that has no descriptors but those that it is given.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

// What is started on it has a copy of its table of descriptors, and so closes none of this
// process's others. The destructor waits for the thread's end.
class ApartThread {
 public:
  // Error EPERM: the process may have no second table, as in some containers.
  [[nodiscard]] static Result<std::unique_ptr<ApartThread>> start();
  ~ApartThread();
  ApartThread(const ApartThread&) = delete;
  ApartThread& operator=(const ApartThread&) = delete;

  // Runs `task` there with a duplicate of `file`, and waits for it. Thread-safe. False: it did not
  // run, since no duplicate got there.
  [[nodiscard]] bool run(BorrowedFd file, const std::function<void(BorrowedFd)>& task);

 private:
  explicit ApartThread(UniqueFd socket) : socket_(std::move(socket)) {}

  void serve(BorrowedFd socket);

  std::mutex mutex_;
  UniqueFd socket_;
  const std::function<void(BorrowedFd)>* task_ = nullptr;
  std::thread thread_;
};

}  // namespace backupkit
