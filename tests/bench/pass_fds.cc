// pass_fds FILE COUNT BATCH: opens a file so many times and passes the descriptors to another
// thread, which closes them, so many in each message. Prints how many that are in a second: the
// most that a socket carries.

#include <fcntl.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "native/io/unix_socket.h"
#include "tests/bench/stopwatch.h"

namespace backupkit {
namespace {

bool send(BorrowedFd socket, const char* path, uint64_t count, uint64_t batch) {
  const Bytes message(batch);
  for (uint64_t sent = 0; sent < count; sent += batch) {
    std::vector<UniqueFd> files;
    std::vector<BorrowedFd> fds;
    for (uint64_t i = 0; i < batch; ++i) {
      files.emplace_back(::open(path, O_RDONLY | O_CLOEXEC));
      fds.push_back(files.back().borrow());
    }
    auto done = send_message(socket, message, fds);
    while (done && *done == Sent::kTooManyInFlight) done = send_message(socket, message, fds);
    if (!done) return false;
  }
  return true;
}

// Gives how many came.
uint64_t receive(BorrowedFd socket, uint64_t count) {
  uint64_t came = 0;
  Incoming message;
  while (came < count) {
    const auto receipt = receive_message(socket, message);
    if (!receipt || *receipt != Receipt::kMessage) break;
    came += message.fds.size();
    message.fds.clear();
  }
  return came;
}

bool pass(const char* path, uint64_t count, uint64_t batch) {
  auto pair = seqpacket_pair();
  if (!pair) return false;
  const Stopwatch watch;
  std::jthread sender([&] {
    if (!send(pair->first.borrow(), path, count, batch)) pair->first.reset();
  });
  const uint64_t came = receive(pair->second.borrow(), count);
  pair->second.reset();  // ends a sender that has not come so far
  std::printf("%.1f\n", static_cast<double>(came) / watch.seconds());
  return came >= count;
}

}  // namespace
}  // namespace backupkit

int main(int argc, char** argv) {
  const auto number = [&](int at) { return argc > at ? std::strtoull(argv[at], nullptr, 10) : 0; };
  const uint64_t count = number(2);
  const uint64_t batch = number(3);
  if (count == 0 || batch == 0 || batch > backupkit::kMaxFds) {
    std::fputs("usage: pass_fds FILE COUNT BATCH\n", stderr);
    return 2;
  }
  return backupkit::pass(argv[1], count, batch) ? 0 : 1;
}
