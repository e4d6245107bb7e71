// A conversation of the service with another process, on its loop.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

#include "native/io/loop.h"
#include "native/protocol/channel.h"

namespace backupkit {

// Hands out every frame that arrives, and sends without blocking: what finds no room waits here, in
// order. What is said in one turn of the loop goes together, at its end. Every handler may destroy
// the Peer.
class Peer {
 public:
  struct Handlers {
    std::function<void(Frame)> frame;
    // The connection is over, by the peer's own will or with an Error: it broke the grammar, or
    // does not read. Called once and as the last.
    std::function<void(std::optional<Error>)> end;
    // All that had to wait for room is sent. May be empty.
    std::function<void()> drained;
  };

  [[nodiscard]] static Result<std::unique_ptr<Peer>> make(Loop& loop, UniqueFd socket,
                                                          Handlers handlers);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  [[nodiscard]] BorrowedFd socket() const { return channel_.socket(); }

  // Sends a frame, in this turn or when there is room. A connection that is broken is told by
  // `end`, later.
  void say(Frame frame);

  // How many frames have not been sent yet.
  [[nodiscard]] size_t waiting() const { return channel_.queued(); }

  // Whether so much waits to be read that no more should be said than must be.
  [[nodiscard]] bool is_behind() const;

  // Hands out what has arrived already, for a peer whose process has ended.
  void drain();

 private:
  Peer(Loop& loop, UniqueFd socket, Handlers handlers);

  void on_event(uint32_t events);
  [[nodiscard]] bool receive();
  void flush();
  void after_send(const Result<Sent>& sent);
  void end(std::optional<Error> error);

  Loop& loop_;
  Channel channel_;
  std::shared_ptr<const Handlers> handlers_;  // held by whoever calls one: it may destroy this
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // outlives this in its own handlers
  bool ended_ = false;
  bool awaits_room_ = false;
  bool awaits_turn_end_ = false;
  Loop::TimerId retry_ = 0;
};

}  // namespace backupkit
