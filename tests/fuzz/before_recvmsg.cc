#include "tests/fuzz/before_recvmsg.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/fuzzer.h"

namespace backupkit {

std::function<void(int socket)> before_recvmsg;
int room_for_descriptors = -1;

namespace {

// Below the limit are as many free numbers as there is room, while it lives.
class DescriptorRoom {
 public:
  explicit DescriptorRoom(int room) {
    check(::getrlimit(RLIMIT_NOFILE, &kept_) == 0);
    if (room < 0) return;
    const UniqueFd lowest(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0));
    rlimit limited = kept_;
    limited.rlim_cur = static_cast<rlim_t>(lowest.get() + room);
    check(::setrlimit(RLIMIT_NOFILE, &limited) == 0);
  }
  DescriptorRoom(const DescriptorRoom&) = delete;
  DescriptorRoom& operator=(const DescriptorRoom&) = delete;
  ~DescriptorRoom() { (void)::setrlimit(RLIMIT_NOFILE, &kept_); }

 private:
  rlimit kept_{};
};

}  // namespace
}  // namespace backupkit

// The names are the linker's.
extern "C" ssize_t __real_recvmsg(int socket, msghdr* header, int flags);
extern "C" ssize_t __wrap_recvmsg(int socket, msghdr* header, int flags) {
  const bool waits = (flags & MSG_DONTWAIT) == 0;
  if (waits && backupkit::before_recvmsg) backupkit::before_recvmsg(socket);
  const backupkit::DescriptorRoom room(backupkit::room_for_descriptors);
  return __real_recvmsg(socket, header, flags);
}
