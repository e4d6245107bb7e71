// Looks at directories on other threads, while a walk is still at what comes before them.
#pragma once

#include <sys/stat.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "backupkit/unique_fd.h"
#include "native/manifest/directory_names.h"

namespace backupkit {

// What the look at an entry said.
struct Look {
  int problem = 0;  // an errno
  struct stat status{};
};

// A directory as it was looked at: all of its names in byte order, and a look at each.
struct LookedAt {
  UniqueFd directory;
  struct stat status{};
  std::vector<DirectoryName> names;
  std::vector<Look> looks;
};

// Holds no more than 8 directories, of 512 names each: a larger one is left to the walk. Used by
// one thread; it outlives what begin() gives.
class LookAhead {
 private:
  enum class State : uint8_t { kWaiting, kTaken, kDone };
  struct Job {
    std::string name;
    State state = State::kWaiting;
    LookedAt found;
    bool is_whole = false;
  };

 public:
  // One that is being looked at; nobody wants it any more when this goes.
  class Looking {
   public:
    Looking(LookAhead& ahead, std::shared_ptr<Job> job) : ahead_(&ahead), job_(std::move(job)) {}
    ~Looking() {
      if (job_) ahead_->drop(*job_);
    }
    Looking(Looking&& other) noexcept = default;
    Looking& operator=(Looking&&) = delete;
    Looking(const Looking&) = delete;

    [[nodiscard]] const std::string& name() const { return job_->name; }
    // Waits for it, or does it here. Nothing: it has too many names, or could not be read.
    [[nodiscard]] std::optional<LookedAt> finish() { return ahead_->finish(*job_); }

   private:
    LookAhead* ahead_;
    std::shared_ptr<Job> job_;
  };

  // `threads` may be 0: then there is never room.
  explicit LookAhead(size_t threads) : most_threads_(threads) {}
  ~LookAhead();
  LookAhead(const LookAhead&) = delete;
  LookAhead& operator=(const LookAhead&) = delete;

  // Whether one more can be looked at.
  [[nodiscard]] bool has_room() const;

  // Has a directory, which was opened as `name` and not read, looked at.
  [[nodiscard]] Looking begin(UniqueFd directory, std::string name);

 private:
  [[nodiscard]] std::optional<LookedAt> finish(Job& job);
  void drop(const Job& job);
  [[nodiscard]] std::shared_ptr<Job> take_waiting();
  void do_one(Job& job, std::vector<char>& buffer);
  void start_threads();
  void work();

  size_t most_threads_;
  size_t held_ = 0;           // directories
  std::vector<char> buffer_;  // of the walk's thread

  std::mutex mutex_;
  std::condition_variable begun_;  // for those who look
  std::condition_variable done_;   // for the walk
  std::deque<std::shared_ptr<Job>> waiting_;
  bool is_ended_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace backupkit
