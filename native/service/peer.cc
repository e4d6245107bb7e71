#include "native/service/peer.h"

#include <sys/epoll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

namespace backupkit {
namespace {

// Nothing tells when fewer descriptors are in flight (ETOOMANYREFS).
constexpr auto kRetryAfter = std::chrono::milliseconds(10);
constexpr size_t kMostTogether = 128;  // frames of one turn
// What waits for one who is not behind.
constexpr size_t kMostFrames = 1024;
constexpr size_t kMostBytes = size_t{1} << 20;

}  // namespace

Peer::Peer(Loop& loop, UniqueFd socket, Handlers handlers)
    : loop_(loop),
      channel_(std::move(socket)),
      handlers_(std::make_shared<Handlers>(std::move(handlers))) {
  channel_.mark_slow_files();
}

Result<std::unique_ptr<Peer>> Peer::make(Loop& loop, UniqueFd socket, Handlers handlers) {
  if (auto set = set_nonblocking(socket.borrow(), true); !set) return failure(set.error());
  std::unique_ptr<Peer> peer(new Peer(loop, std::move(socket), std::move(handlers)));
  auto watched = loop.watch(peer->socket(), EPOLLIN,
                            [self = peer.get()](uint32_t events) { self->on_event(events); });
  if (!watched) return failure(watched.error());
  return peer;
}

Peer::~Peer() {
  *alive_ = false;
  (void)channel_.flush();  // what was said last; a peer that is gone does not miss it
  loop_.cancel(retry_);
  loop_.forget(socket());
}

void Peer::say(Frame frame) {
  if (ended_) return;
  if (auto queued = channel_.queue(std::move(frame)); !queued) {
    return after_send(failure(queued.error()));
  }
  if (awaits_room_ || retry_ != 0) return;
  if (channel_.queued() >= kMostTogether) return flush();
  if (std::exchange(awaits_turn_end_, true)) return;
  loop_.call_last(socket());
}

bool Peer::is_behind() const {
  return channel_.queued() >= kMostFrames || channel_.queued_bytes() >= kMostBytes;
}

void Peer::drain() {
  const auto alive = alive_;
  while (*alive && !ended_ && receive()) {
  }
}

void Peer::on_event(uint32_t events) {
  const auto alive = alive_;
  if (events == 0) {
    awaits_turn_end_ = false;
    return flush();
  }
  if ((events & EPOLLOUT) != 0) flush();
  if (*alive && !ended_ && (events & ~uint32_t{EPOLLOUT}) != 0) (void)receive();
}

// One message; false when there is none.
bool Peer::receive() {
  auto arrival = channel_.receive();
  if (!arrival) {
    end(arrival.error());
    return false;
  }
  if (arrival->receipt == Receipt::kWouldBlock) return false;
  if (arrival->receipt == Receipt::kEnd) {
    end(std::nullopt);
    return false;
  }
  const auto alive = alive_;
  const auto handlers = handlers_;
  for (auto& frame : arrival->frames) {
    handlers->frame(std::move(frame));
    if (!*alive || ended_) return false;
  }
  return true;
}

void Peer::flush() {
  const bool had_to_wait = awaits_room_ || retry_ != 0;
  loop_.cancel(std::exchange(retry_, 0));
  after_send(channel_.flush());
  const auto handlers = handlers_;
  if (had_to_wait && channel_.queued() == 0 && handlers->drained) handlers->drained();
}

void Peer::after_send(const Result<Sent>& sent) {
  if (!sent) {
    // A closed one is told by its own event, after what it had sent. This one is not.
    if (sent.error().code == Code::kClosed) return;
    retry_ = loop_.call_at(Loop::Clock::now(), [this, error = sent.error()] { end(error); });
    return;
  }
  if (*sent == Sent::kTooManyInFlight) {
    retry_ = loop_.call_at(Loop::Clock::now() + kRetryAfter, [this] { flush(); });
  }
  const bool awaits_room = *sent == Sent::kNoRoom;
  if (awaits_room == awaits_room_) return;
  awaits_room_ = awaits_room;
  // It fails only for a descriptor that is not watched.
  (void)loop_.change(socket(), awaits_room ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void Peer::end(std::optional<Error> error) {
  if (ended_) return;
  ended_ = true;
  loop_.cancel(std::exchange(retry_, 0));
  loop_.forget(socket());
  const auto handlers = handlers_;
  handlers->end(std::move(error));
}

}  // namespace backupkit
