// Makes the files of a restore on several threads.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/base/shared_bytes.h"
#include "native/extension/metadata.h"

namespace backupkit {

// A file that is not there yet, and whose content is in an archive in one piece.
struct NewFile {
  std::shared_ptr<const UniqueFd> directory;
  std::string name;
  std::string path;  // for messages
  Metadata metadata;
  BorrowedFd archive;  // open until finish() has returned
  uint64_t offset = 0;
  uint64_t size = 0;
  SharedBytes content{};  // without a keeper it is read from there
};

// Files of one directory are made in the order in which they came, by one thread; nothing is known
// of the order of others. Called by one thread.
class FileMaker {
 public:
  // With `threads` 0 add() makes the file itself.
  explicit FileMaker(size_t threads) : most_threads_(threads) {}
  ~FileMaker();
  FileMaker(const FileMaker&) = delete;
  FileMaker& operator=(const FileMaker&) = delete;

  // As many threads as are of use.
  [[nodiscard]] static size_t usual_threads();

  // Makes the file, sooner or later. Error: the first of those that could not be made, which is
  // named; nothing is made after it.
  [[nodiscard]] Result<void> add(NewFile file);

  // Waits until all are made. Error: as add().
  [[nodiscard]] Result<void> finish();

 private:
  // What one thread has to do.
  struct Lane {
    std::deque<NewFile> files;
    std::condition_variable filled;
    std::thread thread;
  };

  void start_threads();
  [[nodiscard]] bool start_thread();
  void work(Lane& lane);
  [[nodiscard]] Result<void> error() const;

  size_t most_threads_;
  uint64_t added_ = 0;
  std::shared_ptr<const UniqueFd> directory_;  // of the file that came last
  size_t lane_ = 0;                            // and who makes it

  std::mutex mutex_;
  std::condition_variable emptied_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  size_t open_ = 0;  // added and not made
  bool is_ended_ = false;
  std::optional<Error> error_;
};

}  // namespace backupkit
