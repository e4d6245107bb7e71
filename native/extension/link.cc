#include "native/extension/link.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "native/base/syscall.h"

namespace backupkit {
namespace {

using nlohmann::json;

constexpr auto kNoticeEvery = std::chrono::milliseconds(100);
constexpr auto kReportEvery = std::chrono::seconds(1);
// Nothing tells when fewer descriptors are in flight (ETOOMANYREFS).
constexpr auto kRetryAfter = std::chrono::milliseconds(10);
constexpr auto kLongestWait = std::chrono::milliseconds(1);  // of what is to go together
constexpr uint64_t kMostTogether = 16;
constexpr uint64_t kShare = 3;  // of the window: the others are on their way meanwhile

}  // namespace

int LinkTime::poll_until(std::span<pollfd> polled, Clock::time_point until) {
  using std::chrono::milliseconds;
  const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
  const auto time = static_cast<int>(std::clamp(left.count(), int64_t{0}, int64_t{3'600'000}));
  return retry([&] { return ::poll(polled.data(), polled.size(), time); });
}

Link::Link(UniqueFd socket, LinkTime time)
    : channel_(std::move(socket)), time_(std::move(time)), most_together_(kMostTogether) {}

void Link::limit_window(uint32_t files) {
  credit_ = files;
  most_together_ = std::clamp(files / kShare, uint64_t{1}, kMostTogether);
}

// Waits for a message.
Result<void> Link::receive() {
  if (auto sent = flush(); !sent) return sent;
  auto arrival = channel_.receive();
  if (!arrival) return failure(arrival.error());
  return take(std::move(*arrival));
}

Result<void> Link::take(Channel::Arrival arrival) {
  if (arrival.receipt != Receipt::kMessage) return failure(Code::kClosed, "the service has gone");
  for (auto& frame : arrival.frames) {
    if (frame.type == FrameType::kChecked) {
      checked_ = true;
    } else if (frame.type == FrameType::kSettled) {
      ByteReader reader(frame.body);
      if (auto settled = settle(reader); !settled) return settled;
    } else {
      frames_.push_back(std::move(frame));
    }
  }
  return {};
}

Result<void> Link::settle(ByteReader& reader) {
  const auto sequence = reader.get<uint64_t>();
  if (sequence > sent_) return failure(Code::kIpc, "the service settled what was not sent");
  switch (static_cast<Outcome>(reader.get<uint8_t>())) {
    case Outcome::kTaken:
      if (untaken_.erase(sequence) != 0 && credit_) ++*credit_;
      return {};
    case Outcome::kClosed: {
      open_.erase(sequence);
      // It has arrived, then; ours would make a file that is to be published one with a writer.
      const auto found = untaken_.find(sequence);
      if (found != untaken_.end()) found->second.fds.clear();
      return {};
    }
    case Outcome::kRefused: {
      const auto found = untaken_.find(sequence);
      if (found == untaken_.end()) return {};
      Message again;  // of its own: there may be room for no more
      again.add(found->second);
      return transmit(again);
    }
  }
  return {};
}

Result<bool> Link::await(BorrowedFd other, bool to_write, Clock::time_point until) {
  if (auto sent = flush(); !sent) return failure(sent.error());
  return await_sent(other, to_write, until);
}

// The same when what is to go together has gone, or cannot go.
Result<bool> Link::await_sent(BorrowedFd other, bool to_write, Clock::time_point until) {
  const auto wanted = static_cast<int16_t>(to_write ? POLLOUT : POLLIN);
  std::array<pollfd, 2> polled = {pollfd{channel_.socket().get(), POLLIN, 0},
                                  pollfd{other.get(), wanted, 0}};
  const int ready = time_.poll(polled, until);
  if (ready < 0) return errno_failure("poll");
  if (polled[0].revents != 0) {
    if (auto heard = hear(); !heard) return failure(heard.error());
  }
  return ready > 0;
}

Result<Frame> Link::next() {
  while (frames_.empty()) {
    if (auto received = receive(); !received) return failure(received.error());
  }
  Frame frame = std::move(frames_.front());
  frames_.pop_front();
  // What is asked for by one frame after the other goes together.
  if (frame.type == FrameType::kHandle) return frame;
  if (auto sent = flush(); !sent) return failure(sent.error());
  return frame;
}

Result<std::optional<Frame>> Link::next(std::chrono::milliseconds patience) {
  const auto until = now() + patience;
  while (frames_.empty()) {
    auto received = await(BorrowedFd(), false, until);
    if (!received) return failure(received.error());
    if (!*received) return std::nullopt;
  }
  auto frame = next();
  if (!frame) return failure(frame.error());
  return std::move(*frame);
}

Result<void> Link::make_room(const Frame& frame) {
  return unsent_.fits(frame) ? Result<void>{} : flush();
}

// Puts a frame for which there is room behind what is to go together.
void Link::put(const Frame& frame) {
  if (unsent_.is_empty()) put_ = now();
  unsent_.add(frame);
}

Result<void> Link::flush() {
  if (unsent_.is_empty()) return {};
  auto sent = transmit(unsent_);
  unsent_.clear();
  if (sent) {
    sent_ = sequence_;
    return {};
  }
  // The service has never heard of them, and will not take them.
  untaken_.erase(untaken_.upper_bound(sent_), untaken_.end());
  open_.erase(open_.upper_bound(sent_), open_.end());
  return sent;
}

Result<void> Link::transmit(const Message& message) {
  for (;;) {
    auto sent = channel_.send(message);
    if (!sent) return failure(sent.error());
    if (*sent == Sent::kAll) return {};
    if (auto waited = await_sent(BorrowedFd(), false, now() + kRetryAfter); !waited) {
      return failure(waited.error());
    }
  }
}

Result<void> Link::send(const Frame& frame) {
  if (auto made = make_room(frame); !made) return made;
  put(frame);
  return flush();
}

// Sends a frame that is kept until the service has settled it.
Result<uint64_t> Link::send_kept(FrameBuilder builder) {
  Frame frame = builder.build();
  if (auto made = make_room(frame); !made) return failure(made.error());
  const auto sequence = ++sequence_;
  open_.insert(sequence);
  put(untaken_.emplace(sequence, std::move(frame)).first->second);
  if (sequence - sent_ >= most_together_) {
    if (auto sent = flush(); !sent) return failure(sent.error());
  }
  return sequence;
}

Result<uint64_t> Link::send_file(std::string_view uri, std::vector<UniqueFd> fds) {
  while (credit_ && *credit_ == 0) {
    if (auto received = receive(); !received) return failure(received.error());
  }
  if (credit_) --*credit_;
  FrameBuilder builder(FrameType::kFile);
  builder.number(sequence_ + 1).text(uri).error(std::nullopt);
  for (auto& fd : fds) builder.fd(std::move(fd));
  noticed_ = now();  // a file is progress
  return send_kept(std::move(builder));
}

Result<void> Link::send_file_error(std::string_view uri, const Error& error) {
  FrameBuilder builder(FrameType::kFile);
  builder.number(sequence_ + 1).text(uri).error(error);
  auto sent = send_kept(std::move(builder));
  if (!sent) return failure(sent.error());
  open_.erase(*sent);
  return {};
}

Result<void> Link::await_closed(uint64_t sequence) {
  while (open_.contains(sequence)) {
    if (auto received = receive(); !received) return received;
  }
  return {};
}

Result<void> Link::published(uint32_t request, const std::optional<Error>& error) {
  return send(FrameBuilder(FrameType::kPublished).number(request).error(error).build());
}

Result<void> Link::report(std::string_view text) {
  if (auto told = tell_moved(); !told) return told;
  return send(FrameBuilder(FrameType::kReport).text(text).build());
}

Result<void> Link::tell_moved() {
  if (moved_ == told_moved_) return {};
  told_moved_ = moved_;
  return send(FrameBuilder(FrameType::kMoved)
                  .number(moved_.packed)
                  .number(moved_.passed)
                  .number(moved_.unpacked)
                  .build());
}

Result<void> Link::opened() { return ask(FrameType::kOpened, FrameType::kBegin); }

Result<void> Link::check() {
  checked_ = false;
  if (auto sent = send(FrameBuilder(FrameType::kCheck).build()); !sent) return sent;
  while (!checked_) {
    auto heard = await(BorrowedFd(), false, Clock::time_point::max());
    if (!heard) return failure(heard.error());
  }
  return {};
}

Result<void> Link::recovered(std::string_view what) {
  return send(FrameBuilder(FrameType::kRecovered).text(what).build());
}

Result<void> Link::freeze() { return ask(FrameType::kFreeze, FrameType::kFrozen); }

Result<void> Link::ask(FrameType question, FrameType wanted) {
  if (auto sent = send(FrameBuilder(question).build()); !sent) return sent;
  auto answer = next();
  if (!answer) return failure(answer.error());
  if (answer->type == wanted) return {};
  return failure(Code::kIpc, "the service sent something else than was asked for");
}

Result<void> Link::thaw() { return send(FrameBuilder(FrameType::kThaw).build()); }

Result<void> Link::hook_ready(bool takes_release) {
  return send(
      FrameBuilder(FrameType::kHookReady).number(static_cast<uint8_t>(takes_release)).build());
}

Result<void> Link::await_taken() {
  while (!untaken_.empty()) {
    if (auto received = receive(); !received) return received;
  }
  return {};
}

Result<void> Link::hear() {
  for (;;) {
    auto arrival = channel_.receive(false);
    if (!arrival) return failure(arrival.error());
    if (arrival->receipt == Receipt::kWouldBlock) return {};
    if (auto taken = take(std::move(*arrival)); !taken) return taken;
  }
}

Result<void> Link::done(const std::optional<Error>& error) {
  if (auto taken = await_taken(); !taken) return taken;
  return send(FrameBuilder(FrameType::kDone).error(error).build());
}

Result<void> Link::done_and_heard() {
  if (auto told = done(std::nullopt); !told) return told;
  untaken_.try_emplace(kDoneSequence);
  return await_taken();
}

Result<void> Link::progress(std::string_view phase, std::string_view path, uint64_t entries,
                            uint64_t bytes) {
  const auto now = this->now();
  if (!unsent_.is_empty() && now - put_ >= kLongestWait) {
    if (auto sent = flush(); !sent) return sent;
  }
  if (phase == phase_ && now - noticed_ < kNoticeEvery) return {};
  phase_ = phase;
  std::string text;
  if (now - reported_ >= kReportEvery) {
    reported_ = now;
    const json info = {{"name", phase},         {"processed", entries}, {"total", 0},
                       {"isPercentage", false}, {"bytes", bytes},       {"path", path}};
    const json whole = {
        {"processResult",
         {{"timeInfo", seconds()}, {"resultInfo", {{"progressInfo", json::array({info})}}}}}};
    text = whole.dump(-1, ' ', false, json::error_handler_t::replace);
  }
  return send_progress(path, text);
}

Result<void> Link::app_progress(std::string_view phase, std::string_view text) {
  phase_ = phase;
  if (text.empty()) return send_progress("", "");
  const json whole = {{"processResult", {{"timeInfo", seconds()}, {"resultInfo", text}}}};
  return send_progress("", whole.dump(-1, ' ', false, json::error_handler_t::replace));
}

Result<void> Link::send_progress(std::string_view path, std::string_view text) {
  noticed_ = now();
  if (auto told = tell_moved(); !told) return told;
  // A path may be longer than a frame; its end says more than its begin.
  const auto end = path.substr(path.size() - std::min(path.size(), kMaxText / 8));
  const auto whole = text.size() <= kMaxText ? text : std::string_view();
  return send(FrameBuilder(FrameType::kProgress).text(phase_).text(end).text(whole).build());
}

std::string Link::seconds() const {
  const auto spent = now() - start_;
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(spent).count());
}

}  // namespace backupkit
