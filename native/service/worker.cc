#include "native/service/worker.h"

#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace backupkit {
namespace {

constexpr auto kLongestDeath = std::chrono::seconds(2);

}  // namespace

Result<std::unique_ptr<Worker>> Worker::start(Loop& loop, const std::vector<std::string>& arguments,
                                              Handlers handlers) {
  std::unique_ptr<Worker> worker(new Worker(loop, std::move(handlers)));
  Worker* self = worker.get();
  auto pair = seqpacket_pair();
  if (!pair) return failure(pair.error());
  Peer::Handlers heard;
  heard.frame = [self](Frame frame) {
    const auto held = self->handlers_;
    held->frame(std::move(frame));
  };
  heard.end = [self](std::optional<Error> error) {
    if (!error) return;  // its exit follows
    self->kill();
    const auto held = self->handlers_;
    held->broken(std::move(*error));
  };
  auto peer = Peer::make(loop, std::move(pair->first), std::move(heard));
  if (!peer) return failure(peer.error());
  worker->peer_ = std::move(*peer);
  auto child = spawn("/proc/self/exe", arguments, pair->second.borrow(), {.is_bare = true});
  if (!child) return failure(child.error());
  worker->child_ = std::move(*child);
  auto watched =
      loop.watch(worker->child_.pidfd.borrow(), EPOLLIN, [self](uint32_t) { self->on_exit(); });
  if (!watched) return failure(watched.error());
  return worker;
}

Worker::~Worker() {
  *alive_ = false;
  loop_.cancel(patience_);
  if (!child_.pidfd.is_open()) return;
  loop_.forget(child_.pidfd.borrow());
  end_child(loop_, std::move(child_), std::move(gone_));
}

void Worker::kill() {
  kill_child(child_);
  if (patience_ == 0) {
    patience_ = loop_.call_at(Loop::Clock::now() + kLongestDeath, [this] { leave(); });
  }
}

void Worker::leave() {
  loop_.forget(child_.pidfd.borrow());
  const auto handlers = handlers_;
  handlers->exit(std::nullopt);
}

void Worker::say(Frame frame) { peer_->say(std::move(frame)); }

void Worker::on_exit() {
  const auto alive = alive_;
  peer_->drain();
  if (!*alive) return;
  loop_.cancel(patience_);
  loop_.forget(child_.pidfd.borrow());
  // It was ours and has ended: waiting for it does not fail.
  const int status = reap(child_).value_or(-1);
  const auto handlers = handlers_;
  handlers->exit(status);
}

}  // namespace backupkit
