// Conversations of a service, a client and an app with an extension, in one process and on one
// thread. Whatever they say, and whatever an earlier restore or the app has left in the sandbox: it
// says how it ended unless the service has gone or breaks the protocol, it leaves no descriptor
// open, and it neither changes nor hands out what is beside the sandbox, though here no kernel
// holds it to that.
//
//   input = sandbox manners backup start *step     ; each as ground.cc, made_backup.cc and
//   others.cc
//                                                  ; take it
#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "native/extension/confinement.h"
#include "native/extension/main.h"
#include "tests/fuzz/before_recvmsg.h"
#include "tests/fuzz/fuzzer.h"
#include "tests/fuzz/ground.h"
#include "tests/fuzz/others.h"

namespace backupkit {

// In the place of confinement.cc, after which this process could not go on.
Result<void> drop_privileges(const std::optional<User>&) { return {}; }
Result<void> confine_to(BorrowedFd, bool) { return {}; }

namespace {

constexpr int kChannelFd = 3;

// Holds the number of an extension's channel while none has it.
class Placeholder {
 public:
  Placeholder() : null_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {
    if (null_.get() == kChannelFd) null_.reset(::fcntl(null_.get(), F_DUPFD_CLOEXEC, 4));
    put(null_.borrow());
  }
  void give(const UniqueFd& channel) const { put(channel.borrow()); }
  void take_back() const {
    check(::fcntl(kChannelFd, F_GETFD) == -1);
    put(null_.borrow());
  }

 private:
  static void put(BorrowedFd fd) { check(::dup2(fd.get(), kChannelFd) == kChannelFd); }

  UniqueFd null_;
};

void serve(const Placeholder& placeholder, const Ground& ground, ByteReader choices) {
  const NothingLeftOpen census;
  {
    Others others(ground, choices);
    placeholder.give(others.take_channel());
    before_recvmsg = [&others](int socket) {
      if (socket == kChannelFd) others.speak();
    };
    const int status = extension_main(others.time());
    before_recvmsg = nullptr;
    placeholder.take_back();
    others.hear();
    check(status == 1 || (status == 0 && others.is_content()));
  }
  check(ground.is_as_before());
}

}  // namespace
}  // namespace backupkit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const backupkit::Placeholder placeholder;
  static const backupkit::Ground ground;
  backupkit::serve(placeholder, ground, backupkit::ByteReader({data, size}));
  return 0;
}
