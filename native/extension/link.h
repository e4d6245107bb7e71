// The extension's end of the conversation with the service.
#pragma once

#include <chrono>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "native/protocol/channel.h"

namespace backupkit {

// Sends files as the service gives credit for them. Blocks. Not thread-safe. Every call gives Error
// kClosed when the service has gone: nobody waits for the result any more.
class Link {
 public:
  explicit Link(UniqueFd socket) : channel_(std::move(socket)) {}

  // The next frame that is not about files under way.
  [[nodiscard]] Result<Frame> next();

  // Waits for a credit, then sends the file and whatever else belongs to it. Gives its sequence.
  [[nodiscard]] Result<uint64_t> send_file(std::string_view uri, std::vector<UniqueFd> fds);

  // Says that `uri` could not be handed out.
  [[nodiscard]] Result<void> send_file_error(std::string_view uri, const Error& error);

  // Waits until the receiver has closed the file sent with `sequence`, if it is still open.
  [[nodiscard]] Result<void> await_closed(uint64_t sequence);

  [[nodiscard]] Result<void> published(uint32_t request, const std::optional<Error>& error);
  [[nodiscard]] Result<void> report(std::string_view json);
  [[nodiscard]] Result<void> done(const std::optional<Error>& error);

  // Sends a progress report when the last one is at least a second old.
  [[nodiscard]] Result<void> progress(std::string_view phase, uint64_t entries, uint64_t bytes);

 private:
  [[nodiscard]] Result<void> receive();
  [[nodiscard]] Result<void> await_credit();

  Channel channel_;
  std::deque<Frame> frames_;
  std::set<uint64_t> open_;  // sequences whose descriptor the receiver still has
  uint64_t credit_ = 0;
  uint64_t sequence_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point reported_ = start_;
};

}  // namespace backupkit
