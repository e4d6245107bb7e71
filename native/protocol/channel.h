// Whole frames with their descriptors over a SEQPACKET socket.
#pragma once

#include <deque>
#include <vector>

#include "native/io/unix_socket.h"
#include "native/protocol/wire.h"

namespace backupkit {

// How many files may be under way to this process: as many as leave room for its own descriptors.
[[nodiscard]] uint32_t affordable_window();

// One end of a conversation. Owns the socket. Not thread-safe.
class Channel {
 public:
  explicit Channel(UniqueFd socket) : socket_(std::move(socket)) {}

  [[nodiscard]] BorrowedFd socket() const { return socket_.borrow(); }

  // Puts a frame behind those that wait and sends what the socket takes without blocking. The
  // frame's descriptors are closed here once sent. Error kOutOfMemory when more than kMaxQueued
  // frames would wait, kClosed when the peer is gone.
  [[nodiscard]] Result<void> queue(Frame frame);

  // Sends what waits. kNoRoom: ask again when the socket is writable; kTooManyInFlight: ask again
  // a little later, for it is writable already.
  [[nodiscard]] Result<Sent> flush();
  [[nodiscard]] bool has_queued() const { return !queued_.empty(); }

  // Sends a frame on a blocking socket; the frame keeps its descriptors. kTooManyInFlight: nothing
  // was sent.
  [[nodiscard]] Result<Sent> send(const Frame& frame) const;

  struct Arrival {
    Receipt receipt = Receipt::kEnd;
    std::vector<Frame> frames;
  };
  // Receives one message. Frames whose descriptors found no room here say so.
  [[nodiscard]] Result<Arrival> receive() const;

 private:
  static constexpr size_t kMaxQueued = 65536;

  UniqueFd socket_;
  std::deque<Frame> queued_;
};

}  // namespace backupkit
