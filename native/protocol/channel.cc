#include "native/protocol/channel.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace backupkit {
namespace {

Result<Sent> send_frame(BorrowedFd socket, const Frame& frame) {
  std::vector<BorrowedFd> fds;
  fds.reserve(frame.fds.size());
  for (const auto& fd : frame.fds) fds.push_back(fd.borrow());
  return send_message(socket, encode(frame), fds);
}

}  // namespace

uint32_t affordable_window() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return 1;
  // A file of a restore has two descriptors, and whoever passes it on has both twice.
  return static_cast<uint32_t>(std::clamp<rlim_t>(files.rlim_cur / 8, 1, kMaxWindow));
}

Result<void> Channel::queue(Frame frame) {
  if (queued_.size() >= kMaxQueued) {
    return failure(Code::kOutOfMemory, "the peer does not read: too many frames wait for it");
  }
  queued_.push_back(std::move(frame));
  auto sent = flush();
  if (!sent) return failure(sent.error());
  return {};
}

Result<Sent> Channel::flush() {
  while (!queued_.empty()) {
    auto sent = send_frame(socket_.borrow(), queued_.front());
    if (!sent || *sent != Sent::kAll) return sent;
    queued_.pop_front();
  }
  return Sent::kAll;
}

Result<Sent> Channel::send(const Frame& frame) const { return send_frame(socket_.borrow(), frame); }

Result<Channel::Arrival> Channel::receive() const {
  Incoming incoming;
  auto receipt = receive_message(socket_.borrow(), incoming);
  if (!receipt) return failure(receipt.error());
  Arrival arrival;
  arrival.receipt = *receipt;
  if (*receipt != Receipt::kMessage) return arrival;
  auto frames = decode_message(incoming.bytes, std::move(incoming.fds), incoming.truncated);
  if (!frames) return failure(frames.error());
  arrival.frames = std::move(*frames);
  return arrival;
}

}  // namespace backupkit
