#include "native/extension/link.h"

#include <nlohmann/json.hpp>

namespace backupkit {

Result<void> Link::receive() {
  auto arrival = channel_.receive();
  if (!arrival) return failure(arrival.error());
  if (arrival->receipt != Receipt::kMessage) return failure(Code::kClosed, "the service has gone");
  for (auto& frame : arrival->frames) {
    ByteReader reader(frame.body);
    if (frame.type == FrameType::kCredit) {
      credit_ += reader.get<uint32_t>();
    } else if (frame.type == FrameType::kSettled) {
      const auto sequence = reader.get<uint64_t>();
      if (static_cast<Outcome>(reader.get<uint8_t>()) == Outcome::kClosed) open_.erase(sequence);
    } else {
      frames_.push_back(std::move(frame));
    }
  }
  return {};
}

Result<Frame> Link::next() {
  while (frames_.empty()) {
    if (auto received = receive(); !received) return failure(received.error());
  }
  Frame frame = std::move(frames_.front());
  frames_.pop_front();
  return frame;
}

Result<void> Link::await_credit() {
  while (credit_ == 0) {
    if (auto received = receive(); !received) return received;
  }
  --credit_;
  return {};
}

Result<uint64_t> Link::send_file(std::string_view uri, std::vector<UniqueFd> fds) {
  if (auto allowed = await_credit(); !allowed) return failure(allowed.error());
  FrameBuilder builder(FrameType::kFile);
  builder.number(++sequence_).text(uri).error(std::nullopt);
  for (auto& fd : fds) builder.fd(std::move(fd));
  open_.insert(sequence_);
  if (auto sent = channel_.send(builder.build()); !sent) return failure(sent.error());
  return sequence_;
}

Result<void> Link::send_file_error(std::string_view uri, const Error& error) {
  if (auto allowed = await_credit(); !allowed) return allowed;
  return channel_.send(
      FrameBuilder(FrameType::kFile).number(++sequence_).text(uri).error(error).build());
}

Result<void> Link::await_closed(uint64_t sequence) {
  while (open_.contains(sequence)) {
    if (auto received = receive(); !received) return received;
  }
  return {};
}

Result<void> Link::published(uint32_t request, const std::optional<Error>& error) {
  return channel_.send(FrameBuilder(FrameType::kPublished).number(request).error(error).build());
}

Result<void> Link::report(std::string_view json) {
  return channel_.send(FrameBuilder(FrameType::kReport).text(json).build());
}

Result<void> Link::done(const std::optional<Error>& error) {
  return channel_.send(FrameBuilder(FrameType::kDone).error(error).build());
}

Result<void> Link::progress(std::string_view phase, uint64_t entries, uint64_t bytes) {
  const auto now = std::chrono::steady_clock::now();
  if (now - reported_ < std::chrono::seconds(1)) return {};
  reported_ = now;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - start_).count();
  const nlohmann::json info = {{"name", phase},
                               {"processed", entries},
                               {"total", 0},
                               {"isPercentage", false},
                               {"bytes", bytes}};
  const nlohmann::json json = {
      {"processResult",
       {{"timeInfo", std::to_string(seconds)},
        {"resultInfo", {{"progressInfo", nlohmann::json::array({info})}}}}}};
  return channel_.send(FrameBuilder(FrameType::kProgress).text(json.dump()).build());
}

}  // namespace backupkit
