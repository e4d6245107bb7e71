#include "native/io/tmpfile.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "native/base/syscall.h"
#include "native/io/write.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace backupkit {
namespace {

constexpr int kNeededSeals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
constexpr int kNameAttempts = 100;
constexpr mode_t kOwnerOnly = 0600;
constexpr size_t kReadStep = 65536;

std::atomic<bool> named_files_forced = false;

Result<std::string> random_name() {
  uint64_t bits = 0;
  if (retry([&] { return ::getrandom(&bits, sizeof(bits), 0); }) != sizeof(bits)) {
    return errno_failure("random name");
  }
  std::string name = ".backup-";
  for (int shift = 60; shift >= 0; shift -= 4) name += "0123456789abcdef"[(bits >> shift) & 15];
  return name;
}

Result<UniqueFd> unlinked_file(BorrowedFd directory) {
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    const auto name = random_name();
    if (!name) return failure(name.error());
    UniqueFd made(retry([&] {
      return ::openat(directory.get(), name->c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
                      kOwnerOnly);
    }));
    if (made.is_open()) {
      if (::unlinkat(directory.get(), name->c_str(), 0) != 0) return errno_failure(*name);
      return made;
    }
    if (errno != EEXIST) return errno_failure("temporary file");
  }
  return failure(Error::from_errno(EEXIST, "temporary file"));
}

UniqueFd new_memfd(const char* name) {
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  UniqueFd made(::memfd_create(name, kFlags | MFD_NOEXEC_SEAL));
  // Linux before 6.3 does not know the flag; later ones may insist on it.
  if (!made.is_open() && errno == EINVAL) made.reset(::memfd_create(name, kFlags));
  return made;
}

void survive_lease_breaks() {
  struct sigaction action{};
  if (::sigaction(SIGIO, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) return;
  action.sa_handler = SIG_IGN;
  (void)::sigaction(SIGIO, &action, nullptr);  // cannot fail for a valid signal
}

}  // namespace

Result<UniqueFd> unnamed_file(BorrowedFd directory) {
  if (!named_files_forced) {
    UniqueFd made(retry([&] {
      return ::openat(directory.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, kOwnerOnly);
    }));
    if (made.is_open()) return made;
    // EISDIR, ENOENT: kernels and file systems that read it as O_DIRECTORY|O_RDWR.
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL) {
      return errno_failure("temporary file");
    }
  }
  return unlinked_file(directory);
}

void force_named_files(bool force) { named_files_forced = force; }

Result<UniqueFd> reopen_readonly(BorrowedFd file) {
  const auto link = "/proc/self/fd/" + std::to_string(file.get());
  UniqueFd opened(retry([&] { return ::open(link.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY); }));
  if (!opened.is_open()) return errno_failure("reopen a descriptor");
  return opened;
}

Result<UniqueFd> sealed_memfd(const char* name, std::span<const uint8_t> bytes) {
  const UniqueFd made = new_memfd(name);
  if (!made.is_open()) return errno_failure("memfd");
  if (auto written = write_all(made.borrow(), bytes, "write"); !written)
    return failure(written.error());
  if (::fcntl(made.get(), F_ADD_SEALS, kNeededSeals | F_SEAL_SEAL) != 0) {
    return errno_failure("seal a memfd");
  }
  return reopen_readonly(made.borrow());
}

Result<Bytes> read_sealed(BorrowedFd file, size_t limit) {
  const int seals = ::fcntl(file.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kNeededSeals) != kNeededSeals) {
    return failure(Code::kInvalidArgument, "the descriptor is not a sealed memfd");
  }
  return read_file(file, limit);
}

Result<Bytes> read_file(BorrowedFd file, size_t limit) {
  const auto too_long = [limit] {
    return failure(Code::kInvalidArgument, "it has more than " + std::to_string(limit) + " bytes");
  };
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return errno_failure("stat");
  if (status.st_size > 0 && static_cast<uint64_t>(status.st_size) > limit) return too_long();
  Bytes bytes;
  // One more, to meet the end at once. What is made on reading, as in /proc, says 0.
  size_t room = status.st_size > 0 ? static_cast<size_t>(status.st_size) + 1 : kReadStep;
  for (size_t at = 0;;) {
    bytes.resize(at + room);
    const auto got =
        retry([&] { return ::pread(file.get(), bytes.data() + at, room, static_cast<off_t>(at)); });
    if (got < 0) return errno_failure("read");
    at += static_cast<size_t>(got);
    if (at > limit) return too_long();
    if (got == 0) {
      bytes.resize(at);
      return bytes;
    }
    room = static_cast<size_t>(got) < room ? room - static_cast<size_t>(got) : kReadStep;
  }
}

Result<Writers> writers_of(BorrowedFd readonly) {
  survive_lease_breaks();
  if (retry([&] { return ::fcntl(readonly.get(), F_SETLEASE, F_RDLCK); }) == 0) {
    if (retry([&] { return ::fcntl(readonly.get(), F_SETLEASE, F_UNLCK); }) != 0) {
      return errno_failure("give back a lease");
    }
    return Writers::kNone;
  }
  switch (errno) {
    case EAGAIN:
      return Writers::kSome;
    case EINVAL:
    case EACCES:
    case EOPNOTSUPP:
    case ENOLCK:
      return Writers::kUnknown;
    default:
      return errno_failure("take a lease");
  }
}

Result<bool> give_name(BorrowedFd readonly, const std::string& path) {
  struct stat found{};
  if (::fstat(readonly.get(), &found) != 0) return errno_failure("stat");
  if (!S_ISREG(found.st_mode) || found.st_nlink != 0) return false;
  // The mode after the owner, who could set it; it takes the effect of any ACL, too. What is open
  // by then is seen below.
  const bool is_ours = ::fchown(readonly.get(), ::geteuid(), ::getegid()) == 0 &&
                       ::fchmod(readonly.get(), kOwnerOnly) == 0;
  if (!is_ours) return false;
  const auto writers = writers_of(readonly);
  if (!writers) return failure(writers.error());
  if (*writers != Writers::kNone) return false;
  const auto file = "/proc/self/fd/" + std::to_string(readonly.get());
  if (::linkat(AT_FDCWD, file.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
  switch (errno) {
    case EEXIST:
    case ENOSPC:
    case EDQUOT:
    case EIO:
      return errno_failure("name '" + path + "'");
    default:
      return false;
  }
}

}  // namespace backupkit
