// Anything that an app's hook program may say: an answer within its limits, or why there is none.
//
//   input = call piece *( NUL piece )
//
// A piece is said when nothing else is there to be read; at an empty one as much time passes as is
// waited.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "native/extension/hook.h"
#include "native/extension/mapping.h"
#include "native/io/unix_socket.h"
#include "native/protocol/channel.h"
#include "tests/fuzz/fuzzer.h"

namespace backupkit {
namespace {

using Clock = LinkTime::Clock;

// What is at the other ends of the hook's channel and of the link.
class App {
 public:
  explicit App(std::string_view script) : script_(script) {
    std::array<int, 2> ends{};
    check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    program_.reset(ends[0]);
    channel_.reset(ends[1]);
    auto pair = seqpacket_pair().value();
    service_.emplace(std::move(pair.first));
    link_ = std::move(pair.second);
  }

  UniqueFd take_channel() { return std::move(channel_); }
  UniqueFd take_link() { return std::move(link_); }

  [[nodiscard]] LinkTime time() {
    return {.now = [this] { return now_; },
            .poll = [this](std::span<pollfd> polled,
                           Clock::time_point until) { return wait(polled, until); }};
  }

 private:
  int wait(std::span<pollfd> polled, Clock::time_point until) {
    hear();
    for (;;) {
      const int ready = ::poll(polled.data(), polled.size(), 0);
      if (ready != 0) return ready;
      if (speak() || until == Clock::time_point::max()) continue;
      now_ = std::max(now_, until);
      return 0;
    }
  }

  // False: it says nothing now.
  bool speak() {
    if (is_over_) return ::shutdown(program_.get(), SHUT_WR) == 0;
    const auto piece = script_.substr(0, script_.find('\0'));
    is_over_ = piece.size() == script_.size();
    script_.remove_prefix(is_over_ ? piece.size() : piece.size() + 1);
    return !piece.empty() && ::send(program_.get(), piece.data(), piece.size(), MSG_NOSIGNAL) > 0;
  }

  void hear() const {
    std::array<char, 65536> bytes{};
    while (::recv(program_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) {
    }
    for (;;) {
      const auto arrival = service_->receive(false).value();
      if (arrival.receipt != Receipt::kMessage) return;
      for (const auto& frame : arrival.frames) {
        if (frame.type == FrameType::kCheck) {
          check(service_->send(FrameBuilder(FrameType::kChecked).build()).has_value());
        }
      }
    }
  }

  std::string_view script_;
  bool is_over_ = false;
  UniqueFd program_;
  UniqueFd channel_;
  std::optional<Channel> service_;
  UniqueFd link_;
  Clock::time_point now_;
};

Result<std::string> ask(Hook& hook, uint8_t call) {
  Settings settings;
  settings.full_backup_only = call % 2 == 0;
  switch (call % 4) {
    case 0:
    case 1:
      return hook.on_restore(settings);
    case 2:
      return hook.on_backup(settings);
    default:
      return hook.answer(AppCall::kBackupInfo, "");
  }
}

void listen_to(uint8_t call, std::string_view script) {
  const NothingLeftOpen census;
  App app(script);
  Link link(app.take_link(), app.time());
  auto hook = Hook::greet(app.take_channel(), link);
  const auto answer = hook ? ask(*hook, call) : failure(hook.error());
  if (!answer) {
    check(answer.error().code == Code::kExtensionThrew || answer.error().code == Code::kTimedOut);
    return;
  }
  check(answer->size() <= kMaxAnswer);
  (void)chosen_moves(*answer, {{"from", "to"}});
}

}  // namespace
}  // namespace backupkit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto text = backupkit::text_of({data, size});
  if (size > 0) backupkit::listen_to(data[0], text.substr(1));
  return 0;
}
