// copy_rungs FILE COPY: copies a file in each of the ways that there are, best first, and prints
// GB/s of each, in a line of its own: reflink, copy_file_range, sendfile, splice, read and write.
// "-": not between these two. Nothing waits for the disk.

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>

#include "native/io/copy.h"
#include "tests/bench/stopwatch.h"

namespace backupkit {
namespace {

constexpr mode_t kOwnerOnly = 0600;

void print(uint64_t bytes, double seconds) {
  std::printf("%.6f\n", static_cast<double>(bytes) / seconds / 1e9);
}

// False: this is not a way between the two.
bool reflink(BorrowedFd from, BorrowedFd to) {
  struct stat status{};
  if (::fstat(from.get(), &status) != 0) return false;
  const Stopwatch watch;
  if (::ioctl(to.get(), FICLONE, from.get()) != 0) return false;
  print(static_cast<uint64_t>(status.st_size), watch.seconds());
  return true;
}

bool copy_by(Rung rung, BorrowedFd from, BorrowedFd to) {
  Copier copier(rung);
  const Stopwatch watch;
  const auto copied = copier.copy(from, to);
  if (!copied || copier.used() != rung) return false;
  print(*copied, watch.seconds());
  return true;
}

// Does it with both files anew.
template <typename Way>
void try_way(const char* from, const char* to, Way way) {
  const UniqueFd in(::open(from, O_RDONLY | O_CLOEXEC));
  const UniqueFd out(::open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kOwnerOnly));
  const bool is_open = in.is_open() && out.is_open();
  if (!is_open || !way(in.borrow(), out.borrow())) std::puts("-");
  (void)::unlink(to);  // a copy that was not made is not there
}

}  // namespace
}  // namespace backupkit

int main(int argc, char** argv) {
  using namespace backupkit;
  if (argc != 3) {
    std::fputs("usage: copy_rungs FILE COPY\n", stderr);
    return 2;
  }
  try_way(argv[1], argv[2], reflink);
  for (const auto rung : {Rung::kCopyFileRange, Rung::kSendfile, Rung::kSplice, Rung::kReadWrite}) {
    try_way(argv[1], argv[2],
            [rung](BorrowedFd from, BorrowedFd to) { return copy_by(rung, from, to); });
  }
  return 0;
}
