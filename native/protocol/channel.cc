#include "native/protocol/channel.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace backupkit {
uint32_t affordable_window() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return 1;
  // A file of a restore has two descriptors, and whoever passes it on has both twice.
  return static_cast<uint32_t>(std::clamp<rlim_t>(files.rlim_cur / 8, 1, kMaxWindow));
}

bool Message::fits(const Frame& frame) const {
  if (is_empty()) return true;
  return bytes_.size() + encoded_size(frame) <= kMaxMessage &&
         fds_.size() + frame.fds.size() <= kMaxFds && !frame.alone && !full_;
}

void Message::add(const Frame& frame) {
  full_ = frame.alone;
  append(frame, bytes_);
  for (const auto& fd : frame.fds) fds_.push_back(fd.borrow());
}

void Message::clear() {
  bytes_.clear();
  fds_.clear();
  full_ = false;
}

Result<void> Channel::queue(Frame frame) {
  const auto size = encoded_size(frame);
  if (queued_.size() >= kMaxQueued || queued_bytes_ + size > kMaxQueuedBytes) {
    return failure(Code::kOutOfMemory, "the peer does not read: " + std::to_string(queued_.size()) +
                                           " frames of " + std::to_string(queued_bytes_) +
                                           " bytes wait for it");
  }
  queued_bytes_ += size;
  queued_.push_back(std::move(frame));
  return {};
}

Result<Sent> Channel::flush() {
  while (!queued_.empty()) {
    message_.clear();
    auto next = queued_.begin();
    for (; next != queued_.end() && message_.fits(*next); ++next) message_.add(*next);
    auto sent = send(message_);
    if (!sent || *sent != Sent::kAll) return sent;
    queued_.erase(queued_.begin(), next);
    queued_bytes_ -= message_.bytes().size();
  }
  return Sent::kAll;
}

Result<Sent> Channel::send(const Frame& frame) const {
  Message message;
  message.add(frame);
  return send(message);
}

Result<Sent> Channel::send(const Message& message) const {
  return send_message(socket_.borrow(), message.bytes(), message.fds());
}

Result<Channel::Arrival> Channel::receive(bool waits) const {
  Incoming incoming;
  auto receipt = receive_message(socket_.borrow(), incoming, waits, slow_files_.get());
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
