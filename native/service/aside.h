// Work that may never end, as it does where a file system does not answer.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "backupkit/error.h"

namespace backupkit {

// By which it is known that the work goes on.
class Pulse {
 public:
  void beat() { beats_.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] uint64_t beats() const { return beats_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> beats_ = 0;
};

// Does `work` on a thread of its own and gives its result. Error kTimedOut: it had no pulse for as
// long as `patience`; then the thread is left to itself, so that `work` must refer to nothing that
// ends before the process does.
template <typename T>
Result<T> do_aside(std::chrono::milliseconds patience, std::function<Result<T>(Pulse&)> work) {
  struct Shared {
    std::mutex mutex;
    std::condition_variable ready;
    std::optional<Result<T>> result;
    Pulse pulse;
  };
  const auto shared = std::make_shared<Shared>();
  std::thread([shared, work = std::move(work)] {
    auto result = work(shared->pulse);
    const std::scoped_lock lock(shared->mutex);
    shared->result.emplace(std::move(result));
    shared->ready.notify_one();
  }).detach();
  std::unique_lock lock(shared->mutex);
  const auto& result = shared->result;
  for (uint64_t before = 0;; before = shared->pulse.beats()) {
    (void)shared->ready.wait_for(lock, patience, [&] { return result.has_value(); });
    if (result) return *result;
    if (shared->pulse.beats() == before) {
      return failure(Code::kTimedOut, "its file system does not answer");
    }
  }
}

}  // namespace backupkit
