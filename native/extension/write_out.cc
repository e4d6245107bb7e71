#include "native/extension/write_out.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>

#include "native/base/syscall.h"

namespace backupkit {
namespace {

constexpr uint64_t kMuch = uint64_t{16} << 20U;

}  // namespace

WriteOut::~WriteOut() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard held(mutex_);
    is_ended_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void WriteOut::note(uint64_t bytes) {
  if (bytes - begun_at_ < kMuch) return;
  begun_at_ = bytes;
  if (!thread_.joinable() && !start()) return;
  {
    const std::lock_guard held(mutex_);
    is_due_ = true;
  }
  changed_.notify_one();
}

bool WriteOut::start() {
  // An error is reported once for each open file: the last sync has one of its own.
  own_.reset(
      retry([&] { return ::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!own_.is_open()) return false;
  try {
    thread_ = std::thread([this] { work(); });
  } catch (const std::system_error&) {
    return false;
  }
  return true;
}

void WriteOut::work() {
  std::unique_lock held(mutex_);
  for (;;) {
    changed_.wait(held, [&] { return is_due_ || is_ended_; });
    if (is_ended_) return;
    is_due_ = false;
    held.unlock();
    (void)::syncfs(own_.get());
    held.lock();
  }
}

}  // namespace backupkit
