#include "native/io/file_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <ctime>

#if !defined(sigev_notify_thread_id)  // before glibc 2.38
#define sigev_notify_thread_id _sigev_un._tid
#endif

namespace backupkit {
namespace {

using Clock = std::chrono::steady_clock;

constexpr long kAgainAfter = 20'000'000;  // in nanoseconds

timespec left_until(Clock::time_point until) {
  const auto left =
      std::max<std::chrono::nanoseconds>(until - Clock::now(), std::chrono::nanoseconds(1));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  return {static_cast<time_t>(seconds.count()), static_cast<long>((left - seconds).count())};
}

// Interrupts this thread at a time, and again and again afterwards: a signal that comes just before
// the call that it is meant for would be lost.
class Interruption {
 public:
  explicit Interruption(Clock::time_point at) {
    struct sigaction nothing{};
    nothing.sa_handler = [](int) {};
    (void)::sigaction(SIGALRM, &nothing, &before_);
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGALRM;
    event.sigev_notify_thread_id = ::gettid();
    armed_ = ::timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0;
    const itimerspec when{{0, kAgainAfter}, left_until(at)};
    if (armed_ && ::timer_settime(timer_, 0, &when, nullptr) != 0) {
      (void)::timer_delete(timer_);
      armed_ = false;
    }
  }
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  ~Interruption() {
    if (armed_) (void)::timer_delete(timer_);
    (void)::sigaction(SIGALRM, &before_, nullptr);
  }
  [[nodiscard]] bool is_armed() const { return armed_; }

 private:
  struct sigaction before_{};
  timer_t timer_{};
  bool armed_ = false;
};

struct flock range_of(short type, int64_t start, int64_t length) {
  struct flock range{};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = start;
  range.l_len = length;
  return range;
}

}  // namespace

bool await_shared_lock(BorrowedFd file, int64_t start, int64_t length, Clock::time_point until) {
  auto range = range_of(F_RDLCK, start, length);
  // Of the open file, so that closing another descriptor of it gives nothing back.
  if (::fcntl(file.get(), F_OFD_SETLK, &range) == 0) return true;
  if (errno != EAGAIN && errno != EACCES) return false;
  const Interruption interruption(until);
  while (interruption.is_armed() && Clock::now() < until) {
    if (::fcntl(file.get(), F_OFD_SETLKW, &range) == 0) return true;
    if (errno != EINTR) return false;
  }
  return false;
}

void unlock(BorrowedFd file, int64_t start, int64_t length) {
  auto range = range_of(F_UNLCK, start, length);
  (void)::fcntl(file.get(), F_OFD_SETLK, &range);  // what is ours can be given back
}

}  // namespace backupkit
