// event_source SOCKET FILES: a service that greets one client and then sends it files without end,
// so many in each message, whatever the client says. Prints "ready" when it listens.

#include <fcntl.h>
#include <poll.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "native/protocol/channel.h"
#include "tests/native/accept_one.h"

namespace backupkit {
namespace {

// Waits until the socket takes something, or is closed.
Result<void> await_room(BorrowedFd socket) {
  pollfd writable{socket.get(), POLLOUT, 0};
  if (::poll(&writable, 1, -1) < 0) return errno_failure("poll");
  return {};
}

// Forgets what the client has said, so that it can say more.
Result<bool> hear(const Channel& channel) {
  while (true) {
    auto arrival = channel.receive();
    if (!arrival) return failure(arrival.error());
    if (arrival->receipt != Receipt::kMessage) return arrival->receipt != Receipt::kEnd;
  }
}

// The frames of so many files; each wants a descriptor beside it.
Bytes files_from(uint64_t sequence, const std::vector<BorrowedFd>& fds) {
  Bytes message;
  for (const BorrowedFd fd : fds) {
    auto frame = FrameBuilder(FrameType::kFileReady)
                     .number(sequence++)
                     .text("com.example.bench")
                     .text("big/files/0123456789abcdef")
                     .error(std::nullopt)
                     .build();
    frame.fds.emplace_back(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
    const Bytes bytes = encode(frame);
    message.insert(message.end(), bytes.begin(), bytes.end());
  }
  return message;
}

// False: the client has gone.
Result<bool> send(const Channel& channel, const Bytes& message,
                  const std::vector<BorrowedFd>& fds) {
  while (true) {
    auto heard = hear(channel);
    if (!heard || !*heard) return heard;
    auto sent = send_message(channel.socket(), message, fds);
    if (!sent) return failure(sent.error());
    if (*sent == Sent::kAll) return true;
    if (auto ready = await_room(channel.socket()); !ready) return failure(ready.error());
  }
}

Result<void> serve(UniqueFd socket, int files) {
  const Channel channel(std::move(socket));
  const auto welcome =
      FrameBuilder(FrameType::kWelcome).number(kWireVersion).number(int32_t{0}).build();
  if (auto welcomed = channel.send(welcome); !welcomed) return failure(welcomed.error());
  const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::vector<BorrowedFd> fds(static_cast<size_t>(files), file.borrow());
  for (uint64_t sequence = 1;; sequence += fds.size()) {
    auto sent = send(channel, files_from(sequence, fds), fds);
    if (!sent) return failure(sent.error());
    if (!*sent) return {};
  }
}

}  // namespace
}  // namespace backupkit

int main(int argc, char** argv) {
  const int files = argc > 2 ? std::atoi(argv[2]) : 0;
  if (files < 1) {
    std::fputs("usage: event_source SOCKET FILES\n", stderr);
    return 2;
  }
  auto socket = backupkit::accept_one(argv[1]);
  if (!socket) return 1;
  // The client goes away when it has enough.
  (void)backupkit::serve(std::move(*socket), files);
  return 0;
}
