// Lets the disk work while files are still being made.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "backupkit/unique_fd.h"

namespace backupkit {

// Has a file system written out now and then on another thread, so that less is left to the sync at
// the end. It promises nothing: what it cannot do, or that fails, is left to that sync, which finds
// every error by itself. Called by one thread.
class WriteOut {
 public:
  // `directory` is on the file system, and stays open.
  explicit WriteOut(BorrowedFd directory) : directory_(directory) {}
  ~WriteOut();
  WriteOut(const WriteOut&) = delete;
  WriteOut& operator=(const WriteOut&) = delete;

  // Begins to write out if much has come since the last time; `bytes` have been written in all.
  void note(uint64_t bytes);

 private:
  [[nodiscard]] bool start();
  void work();

  BorrowedFd directory_;
  uint64_t begun_at_ = 0;
  UniqueFd own_;
  std::thread thread_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_due_ = false;
  bool is_ended_ = false;
};

}  // namespace backupkit
