// The service, its client and the app, as far as an extension sees them: what they say is taken off
// an input, and they say it when the extension waits for it.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "native/extension/link.h"
#include "native/protocol/channel.h"
#include "tests/fuzz/ground.h"
#include "tests/fuzz/made_backup.h"

namespace backupkit {

class Others {
 public:
  // Says the Start, so that it is there to be heard.
  Others(const Ground& ground, ByteReader choices);

  [[nodiscard]] UniqueFd take_channel() { return std::move(extension_); }
  [[nodiscard]] LinkTime time();

  // Called when the extension waits for its service.
  void speak();

  // Hears what it has said.
  void hear();

  // Whether it has said how it ended, or the service has gone before.
  [[nodiscard]] bool is_content() const { return done_ || !service_; }

 private:
  using Clock = LinkTime::Clock;

  void start();
  [[nodiscard]] UniqueFd make_settings();
  [[nodiscard]] static bool has_unheard();
  int wait(std::span<pollfd> polled, Clock::time_point until);
  // False: time is to pass.
  bool step();
  void say(const Frame& frame);
  void say_of_hook(std::string_view text);
  void ask_for_all();
  void publish(std::string_view uri);
  void leave();
  void take(Frame& frame);
  void take_file(Frame& frame);
  void settle(uint64_t sequence, Outcome outcome);
  void fill(const std::string& uri, Frame& frame) const;

  const Ground& ground_;
  ByteReader choices_;
  uint8_t manners_ = 0;  // what it does without being told
  MadeBackup backup_;
  std::optional<Channel> service_;
  UniqueFd extension_;
  UniqueFd hook_;
  std::vector<UniqueFd> kept_;
  uint64_t asked_ = 0;  // requests of the hook
  bool done_ = false;
  Clock::time_point now_{};
};

}  // namespace backupkit
