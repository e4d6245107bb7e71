// Whole frames with their descriptors over a SEQPACKET socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "native/base/bytes.h"
#include "native/io/slow_files.h"
#include "native/io/unix_socket.h"
#include "native/protocol/wire.h"

namespace backupkit {

// How many files may be under way to this process: as many as leave room for its own descriptors.
[[nodiscard]] uint32_t affordable_window();

// Frames that go together, in one message.
class Message {
 public:
  // False: the frame has to go in another message. The first one always fits.
  [[nodiscard]] bool fits(const Frame& frame) const;

  // Puts a frame that fits behind the others. Its descriptors stay its own and are borrowed.
  void add(const Frame& frame);

  [[nodiscard]] bool is_empty() const { return bytes_.size() == 0; }
  [[nodiscard]] std::span<const uint8_t> bytes() const { return bytes_.bytes(); }
  [[nodiscard]] std::span<const BorrowedFd> fds() const { return fds_; }
  void clear();

 private:
  ByteWriter bytes_;
  std::vector<BorrowedFd> fds_;
  bool full_ = false;
};

// One end of a conversation. Owns the socket. Not thread-safe.
class Channel {
 public:
  explicit Channel(UniqueFd socket) : socket_(std::move(socket)) {}

  // From now on no descriptor that is received keeps this thread waiting when it is closed.
  void mark_slow_files() { slow_files_ = std::make_unique<SlowFiles>(); }

  [[nodiscard]] BorrowedFd socket() const { return socket_.borrow(); }

  // Puts a frame behind those that wait for flush(). Error kOutOfMemory when more than kMaxQueued
  // frames, or kMaxQueuedBytes, would wait.
  [[nodiscard]] Result<void> queue(Frame frame);

  // Sends what waits, in as few messages as can be, as far as the socket takes them. The frames'
  // descriptors are closed here once sent. kNoRoom: ask again when the socket is writable;
  // kTooManyInFlight: ask again a little later, for it is writable already. Error kClosed: the peer
  // is gone.
  [[nodiscard]] Result<Sent> flush();
  [[nodiscard]] size_t queued() const { return queued_.size(); }
  [[nodiscard]] size_t queued_bytes() const { return queued_bytes_; }

  // Sends a frame, or what is not empty, on a blocking socket. kTooManyInFlight: nothing was sent.
  [[nodiscard]] Result<Sent> send(const Frame& frame) const;
  [[nodiscard]] Result<Sent> send(const Message& message) const;

  struct Arrival {
    Receipt receipt = Receipt::kEnd;
    std::vector<Frame> frames;
  };
  // Receives one message, as receive_message() does. Frames whose descriptors found no room here
  // say so.
  [[nodiscard]] Result<Arrival> receive(bool waits = true) const;

 private:
  static constexpr size_t kMaxQueued = 65536;
  static constexpr size_t kMaxQueuedBytes = 64U << 20;

  UniqueFd socket_;
  std::deque<Frame> queued_;
  size_t queued_bytes_ = 0;
  std::unique_ptr<SlowFiles> slow_files_;
  Message message_;  // the one that flush() makes
};

}  // namespace backupkit
