#include "native/io/copy.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>

#include "native/base/syscall.h"
#include "native/io/read.h"
#include "native/io/sparse_copy.h"
#include "native/io/write.h"

namespace backupkit {
namespace {

constexpr uint64_t kLongestStep = uint64_t{1} << 30;  // below what any rung cuts off by itself
constexpr size_t kBufferSize = 262144;
constexpr int kPipeSize = 1048576;

Rung below(Rung rung) { return static_cast<Rung>(static_cast<int>(rung) + 1); }

// "Not for this pair": the next rung may do, and the last one tells a real error from a missing
// way. EBADF is copy_file_range(2) for O_APPEND; EPERM and EACCES are filters that forbid a call.
bool is_other_way(int error) {
  switch (error) {
    case EXDEV:
    case EINVAL:
    case ENOSYS:
    case EOPNOTSUPP:
    case EBADF:
    case EPERM:
    case EACCES:
    case EISDIR:
    case ESPIPE:
    case EOVERFLOW:
      return true;
    default:
      return false;
  }
}

Error copy_error(int error) {
  if (error == EPIPE || error == ECONNRESET) return {Code::kClosed, error, "copy"};
  return Error::from_errno(error, "copy");
}

// Which end said EAGAIN is not told, so both are awaited, one after the other.
Result<void> wait_for_both(BorrowedFd in, BorrowedFd out) {
  if (auto readable = wait_for(in, POLLIN); !readable) return readable;
  return wait_for(out, POLLOUT);
}

// Takes back what was read and not written. Pipes and sockets cannot (ESPIPE), as the caller knows.
void unread(BorrowedFd in, uint64_t size) {
  if (size > 0) (void)::lseek(in.get(), -static_cast<off_t>(size), SEEK_CUR);
}

}  // namespace

// What one call did.
struct Copier::Step {
  enum class Kind { kMoved, kEnd, kOtherWay };
  Kind kind = Kind::kMoved;
  uint64_t moved = 0;
};

Result<uint64_t> Copier::copy(BorrowedFd in, BorrowedFd out, uint64_t limit) {
  uint64_t total = 0;
  used_ = first_;
  while (total < limit) {
    const auto size = static_cast<size_t>(std::min(limit - total, kLongestStep));
    auto done = step(in, out, size);
    // In /proc and on some FUSE file systems the kernel believes a size of 0: only read(2) knows.
    const bool probe = done && done->kind == Step::Kind::kEnd && total == 0;
    if (probe && used_ != Rung::kReadWrite) {
      done = user_step(in, out, size);
      if (done && done->kind == Step::Kind::kMoved) used_ = Rung::kReadWrite;
    }
    if (!done) return failure(done.error());
    if (done->kind == Step::Kind::kEnd) break;
    if (done->kind == Step::Kind::kOtherWay) used_ = below(used_);
    total += done->moved;
  }
  return total;
}

Result<Copier::Step> Copier::step(BorrowedFd in, BorrowedFd out, size_t size) {
  if (used_ == Rung::kSplice) return splice_step(in, out, size);
  if (used_ == Rung::kReadWrite) return user_step(in, out, size);
  const auto count = retry([&] {
    return used_ == Rung::kCopyFileRange
               ? ::copy_file_range(in.get(), nullptr, out.get(), nullptr, size, 0)
               : ::sendfile(out.get(), in.get(), nullptr, size);
  });
  return in_kernel(count, in, out);
}

// Reads the answer of a call that moved bytes from `in` to `out`, or errno.
Result<Copier::Step> Copier::in_kernel(int64_t count, BorrowedFd in, BorrowedFd out) {
  if (count == 0) return Step{Step::Kind::kEnd, 0};
  if (count > 0) {
    moved_in_kernel_ += static_cast<uint64_t>(count);
    return Step{Step::Kind::kMoved, static_cast<uint64_t>(count)};
  }
  if (errno == EAGAIN) {
    if (auto ready = wait_for_both(in, out); !ready) return failure(ready.error());
    return Step{};
  }
  if (is_other_way(errno)) return Step{Step::Kind::kOtherWay, 0};
  return failure(copy_error(errno));
}

Result<void> Copier::open_pipe() {
  if (pipe_read_.is_open()) return {};
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return errno_failure("pipe");
  pipe_read_.reset(ends[0]);
  pipe_write_.reset(ends[1]);
  (void)::fcntl(ends[1], F_SETPIPE_SZ, kPipeSize);  // beyond the user's quota 64 KiB must do
  return {};
}

Result<Copier::Step> Copier::splice_step(BorrowedFd in, BorrowedFd out, size_t size) {
  const auto direct =
      retry([&] { return ::splice(in.get(), nullptr, out.get(), nullptr, size, SPLICE_F_MOVE); });
  if (direct >= 0 || errno != EINVAL) return in_kernel(direct, in, out);
  // Neither end is a pipe, or the pair is not for splice(2): the own pipe finds out.
  if (auto opened = open_pipe(); !opened) return failure(opened.error());
  const auto taken = retry(
      [&] { return ::splice(in.get(), nullptr, pipe_write_.get(), nullptr, size, SPLICE_F_MOVE); });
  if (taken == 0) return Step{Step::Kind::kEnd, 0};
  if (taken < 0 && errno == EAGAIN) {
    if (auto ready = wait_for(in, POLLIN); !ready) return failure(ready.error());
    return Step{};
  }
  if (taken < 0) return in_kernel(taken, in, out);
  return drain_pipe(in, out, static_cast<size_t>(taken));
}

// Moves `size` bytes from the own pipe on to `out`; where it takes none from a pipe, by hand.
Result<Copier::Step> Copier::drain_pipe(BorrowedFd in, BorrowedFd out, size_t size) {
  size_t left = size;
  while (left > 0 && used_ == Rung::kSplice) {
    const auto count = retry([&] {
      return ::splice(pipe_read_.get(), nullptr, out.get(), nullptr, left, SPLICE_F_MOVE);
    });
    const auto done = in_kernel(count, BorrowedFd(), out);
    if (!done) {
      abandon_pipe(in, left);
      return failure(done.error());
    }
    if (done->kind == Step::Kind::kMoved) left -= static_cast<size_t>(done->moved);
    if (done->kind != Step::Kind::kMoved) used_ = Rung::kReadWrite;
  }
  while (left > 0) {
    const uint64_t moved_before = moved_through_user_;
    const auto done = user_step(pipe_read_.borrow(), out, left);
    if (!done || done->kind != Step::Kind::kMoved) {
      abandon_pipe(in, left - (moved_through_user_ - moved_before));
      return done ? failure(Code::kIo, "copy") : failure(done.error());
    }
    left -= static_cast<size_t>(done->moved);
  }
  return Step{Step::Kind::kMoved, size};
}

// After an error: what is left in the pipe was not copied.
void Copier::abandon_pipe(BorrowedFd in, uint64_t size) {
  pipe_read_.reset();
  pipe_write_.reset();
  unread(in, size);
}

Result<Copier::Step> Copier::user_step(BorrowedFd in, BorrowedFd out, size_t size) {
  buffer_.resize(kBufferSize);
  const auto room = std::min(size, buffer_.size());
  const auto count = retry([&] { return ::read(in.get(), buffer_.data(), room); });
  if (count == 0) return Step{Step::Kind::kEnd, 0};
  if (count < 0) {
    if (errno != EAGAIN) return failure(copy_error(errno));
    if (auto ready = wait_for(in, POLLIN); !ready) return failure(ready.error());
    return Step{};
  }
  const auto size_read = static_cast<size_t>(count);
  const auto written = write_most(out, std::span(buffer_).first(size_read));
  moved_through_user_ += written.size;
  if (written.error == 0) return Step{Step::Kind::kMoved, written.size};
  unread(in, size_read - written.size);
  return failure(copy_error(written.error));
}

Result<uint64_t> complete(BorrowedFd in, BorrowedFd out, Copier& copier) {
  struct stat source{};
  struct stat target{};
  if (::fstat(in.get(), &source) != 0 || ::fstat(out.get(), &target) != 0) {
    return errno_failure("size of a file");
  }
  const auto size = static_cast<uint64_t>(std::min(source.st_size, target.st_size));
  auto same = common_length(out, in, 0, size);
  if (!same) return same;
  const auto at = static_cast<off_t>(*same);
  if (at < target.st_size && retry([&] { return ::ftruncate(out.get(), at); }) != 0) {
    return errno_failure("cut a file");
  }
  if (::lseek(in.get(), at, SEEK_SET) < 0 || ::lseek(out.get(), at, SEEK_SET) < 0) {
    return errno_failure("position in a file");
  }
  return copy_sparse(copier, in, out);
}

}  // namespace backupkit
