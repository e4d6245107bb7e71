// The extension's end of the conversation with the service.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "native/protocol/channel.h"

namespace backupkit {

// How a Link tells the time and waits; that of a test need not wait.
struct LinkTime {
  using Clock = std::chrono::steady_clock;

  std::function<Clock::time_point()> now = Clock::now;
  // As poll(2), until that time.
  std::function<int(std::span<pollfd>, Clock::time_point)> poll = poll_until;

 private:
  static int poll_until(std::span<pollfd> polled, Clock::time_point until);
};

// Sends files as the service gives credit for them, and again where it had no room for one. Some go
// together: when they are enough, with the next that is said, before anything is waited for, or at
// the next sign of progress a millisecond later. Blocks. Not thread-safe. Every call gives Error
// kClosed when the service has gone: nobody waits for the result any more.
class Link {
 public:
  explicit Link(UniqueFd socket, LinkTime time = {});

  [[nodiscard]] LinkTime::Clock::time_point now() const { return time_.now(); }

  // As many files may be under way; without it, as many as are asked for.
  void limit_window(uint32_t files);

  // The next frame that is not about files under way.
  [[nodiscard]] Result<Frame> next();
  // The same, or none after `patience`.
  [[nodiscard]] Result<std::optional<Frame>> next(std::chrono::milliseconds patience);

  // Waits until `other` can be read, or written where `to_write`, or until `until`, and meanwhile
  // for the service, too. False: the time came first.
  [[nodiscard]] Result<bool> await(BorrowedFd other, bool to_write,
                                   std::chrono::steady_clock::time_point until);

  // Waits for a credit, then sends the file and whatever else belongs to it. Gives its sequence.
  [[nodiscard]] Result<uint64_t> send_file(std::string_view uri, std::vector<UniqueFd> fds);

  // Sends now what was to go together.
  [[nodiscard]] Result<void> flush();

  // Says that `uri` could not be handed out.
  [[nodiscard]] Result<void> send_file_error(std::string_view uri, const Error& error);

  // Waits until every file that was sent was taken.
  [[nodiscard]] Result<void> await_taken();

  // Hears what the service has said, without waiting.
  [[nodiscard]] Result<void> hear();

  // Whether the receiver may still have the file sent with `sequence`, as far as was heard.
  [[nodiscard]] bool is_open(uint64_t sequence) const { return open_.contains(sequence); }

  // Waits until the receiver has closed the file sent with `sequence`, if it is still open.
  [[nodiscard]] Result<void> await_closed(uint64_t sequence);

  [[nodiscard]] Result<void> published(uint32_t request, const std::optional<Error>& error);
  [[nodiscard]] Result<void> report(std::string_view json);
  // Has the service count what was moved so far, with the next progress or report.
  void moved(const Moved& moved) { moved_ = moved; }

  // Says that the sandbox is open, and waits until the bundle is to begin.
  [[nodiscard]] Result<void> opened();

  // Waits until the service has said that it is there.
  [[nodiscard]] Result<void> check();

  // Says what became of an interrupted restore.
  [[nodiscard]] Result<void> recovered(std::string_view what);
  [[nodiscard]] Result<void> hook_ready(bool takes_release);

  // Has the app stand still, as far as it can be brought to, and lets it go.
  [[nodiscard]] Result<void> freeze();
  [[nodiscard]] Result<void> thaw();

  // Waits until every file was taken, and says the result.
  [[nodiscard]] Result<void> done(const std::optional<Error>& error);

  // The same, and waits until the service has heard it.
  [[nodiscard]] Result<void> done_and_heard();

  // Says that the work goes on, at `path`: to the service at once where the phase is a new one and
  // ten times a second, to the client every second.
  [[nodiscard]] Result<void> progress(std::string_view phase, std::string_view path,
                                      uint64_t entries, uint64_t bytes);
  // The same with what the app itself says.
  [[nodiscard]] Result<void> app_progress(std::string_view phase, std::string_view text);

 private:
  [[nodiscard]] Result<void> ask(FrameType question, FrameType wanted);
  using Clock = LinkTime::Clock;

  [[nodiscard]] Result<void> receive();
  [[nodiscard]] Result<void> take(Channel::Arrival arrival);
  [[nodiscard]] Result<void> settle(ByteReader& reader);
  [[nodiscard]] Result<bool> await_sent(BorrowedFd other, bool to_write, Clock::time_point until);
  [[nodiscard]] Result<void> make_room(const Frame& frame);
  void put(const Frame& frame);
  [[nodiscard]] Result<void> transmit(const Message& message);
  [[nodiscard]] Result<void> send(const Frame& frame);
  [[nodiscard]] Result<uint64_t> send_kept(FrameBuilder builder);
  [[nodiscard]] Result<void> tell_moved();
  [[nodiscard]] Result<void> send_progress(std::string_view path, std::string_view json);
  [[nodiscard]] std::string seconds() const;

  Channel channel_;
  Moved moved_;
  Moved told_moved_;
  LinkTime time_;
  std::deque<Frame> frames_;
  std::map<uint64_t, Frame> untaken_;  // sent or to be sent, and not yet taken
  std::set<uint64_t> open_;            // sequences whose descriptor the receiver still has
  bool checked_ = false;
  std::optional<uint64_t> credit_;
  uint64_t sequence_ = 0;
  uint64_t sent_ = 0;  // the last sequence that was sent
  Message unsent_;     // what goes together, with descriptors of those in untaken_
  uint64_t most_together_;
  Clock::time_point put_{};  // when the first of them came
  std::string phase_;
  Clock::time_point start_ = now();
  Clock::time_point noticed_ = start_;   // when the service last heard of progress
  Clock::time_point reported_ = start_;  // when the client did
};

}  // namespace backupkit
