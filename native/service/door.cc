#include "native/service/door.h"

#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <utility>

#include "native/base/log.h"
#include "native/io/unix_socket.h"

namespace backupkit {
namespace {

// Nothing tells when there is a descriptor for one more client.
constexpr auto kAcceptAgain = std::chrono::milliseconds(20);

void log_untaken(const Error& error) {
  log_failure(LogLevel::kWarning, "taking of a connection", error);
}

}  // namespace

Result<void> Door::open(UniqueFd listener) {
  listener_ = std::move(listener);
  return watch();
}

void Door::close() {
  loop_.cancel(timer_);
  if (!listener_.is_open()) return;
  loop_.forget(listener_.borrow());
  listener_.reset();
}

Result<void> Door::watch() {
  return loop_.watch(listener_.borrow(), EPOLLIN, [this](uint32_t) { on_connection(); });
}

void Door::on_connection() {
  auto socket = accept_seqpacket(listener_.borrow());
  if (!socket) {
    if (!std::exchange(turns_away_, true)) log_untaken(socket.error());
    return rest();
  }
  turns_away_ = false;
  if (!socket->is_open()) return;  // it went away again
  if (auto taken = take_(std::move(*socket)); !taken) log_untaken(taken.error());
}

// The socket stays ready as long as somebody waits: watching it would not let the loop rest.
void Door::rest() {
  loop_.forget(listener_.borrow());
  timer_ = loop_.call_at(Loop::Clock::now() + kAcceptAgain, [this] {
    (void)watch();  // it was watched before: that needs no more than there was
  });
}

}  // namespace backupkit
