#include "native/io/apart_thread.h"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>

#if __has_include(<linux/close_range.h>)
#include <linux/close_range.h>
#endif

#include "native/io/open_now.h"
#include "native/io/unix_socket.h"

namespace backupkit {
namespace {

constexpr std::array<uint8_t, 1> kNote{0};  // an empty message reads as the end

// Signals of the process are for its other threads.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    (void)::pthread_sigmask(SIG_SETMASK, &all, &before_);  // it fails for a wrong `how` alone
  }
  ~SignalsBlocked() { (void)::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

// By close_range(2), of Linux 5.9, also where a container or a unit forbids unshare(2).
bool take_own_table() {
#if defined(SYS_close_range) && defined(CLOSE_RANGE_UNSHARE)
  constexpr unsigned kNone = ~0U;
  if (::syscall(SYS_close_range, kNone, kNone, CLOSE_RANGE_UNSHARE) == 0) return true;
#endif
  return ::unshare(CLONE_FILES) == 0;
}

// Gives this thread a table with the standard descriptors and `socket` alone.
Result<void> leave_table(BorrowedFd socket) {
  if (!take_own_table()) return errno_failure("a table of descriptors");
  const auto open = open_now();
  if (!open) return failure(open.error());
  for (const int fd : *open) {
    if (fd > STDERR_FILENO && fd != socket.get()) (void)::close(fd);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<ApartThread>> ApartThread::start() {
  auto ends = seqpacket_pair();
  if (!ends) return failure(ends.error());
  std::unique_ptr<ApartThread> made(new ApartThread(std::move(ends->first)));
  std::promise<Result<void>> ready;
  auto started = ready.get_future();
  try {
    const SignalsBlocked blocked;
    made->thread_ = std::thread(
        [self = made.get(), socket = ends->second.borrow(), ready = std::move(ready)]() mutable {
          const auto left = leave_table(socket);
          ready.set_value(left);
          if (left) self->serve(socket);
        });
  } catch (const std::system_error& error) {
    return failure(Error::from_errno(error.code().value(), "a thread"));
  }
  if (auto left = started.get(); !left) return failure(left.error());
  return made;
}

ApartThread::~ApartThread() {
  socket_.reset();
  if (thread_.joinable()) thread_.join();
}

void ApartThread::serve(BorrowedFd socket) {
  Incoming note;
  for (;;) {
    const auto receipt = receive_message(socket, note);
    if (!receipt || *receipt != Receipt::kMessage) break;
    if (!note.fds.empty()) (*task_)(note.fds.front().borrow());
    note.fds.clear();
    if (!send_message(socket, kNote, {})) break;
  }
}

bool ApartThread::run(BorrowedFd file, const std::function<void(BorrowedFd)>& task) {
  const std::scoped_lock lock(mutex_);
  bool has_run = false;
  const std::function<void(BorrowedFd)> noted = [&](BorrowedFd own) {
    task(own);
    has_run = true;
  };
  task_ = &noted;
  // No other note is there, so that there is room for it.
  const auto sent = send_message(socket_.borrow(), kNote, std::array{file});
  if (!sent || *sent != Sent::kAll) return false;
  Incoming done;
  if (!receive_message(socket_.borrow(), done)) {
    socket_.reset();  // it may be at the task still
    thread_.join();
  }
  return has_run;
}

}  // namespace backupkit
