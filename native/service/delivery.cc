#include "native/service/delivery.h"

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace backupkit {
namespace {

using Clock = Loop::Clock;

constexpr std::string_view kIndexName = "manage.json";
// Nothing tells when a process has room for descriptors again; a settled file only makes it likely.
constexpr auto kRetryAfter = std::chrono::milliseconds(20);

}  // namespace

Delivery::~Delivery() {
  loop_.cancel(rate_timer_);
  loop_.cancel(retry_timer_);
}

bool Delivery::take_file(Frame& frame, ByteReader& reader) {
  Item item;
  item.is_file = true;
  item.lost = frame.lost_fds;
  item.sequence = reader.get<uint64_t>();
  item.text = reader.get_text(kMaxNameText);
  item.error = read_error(reader);
  item.fds = std::move(frame.fds);
  if (!reader.done() || item.sequence >> kSequenceBits != 0) return false;
  if (item.fds.empty() && !item.error && !item.lost) return false;
  if (!handover_.is_good(item.fds)) return false;
  const auto is_lost = [](const Item& other) { return other.is_file && other.lost; };
  const auto waits = std::ranges::find_if(outbox_, [&](const Item& other) {
    return is_lost(other) && other.sequence == item.sequence;
  });
  // One behind a lost one cannot leave before it, and would take the room that it waits for.
  if (std::find_if(outbox_.begin(), waits, is_lost) != waits) {
    item.lost = true;
    item.fds.clear();
  }
  if (waits == outbox_.end()) return add(std::move(item));
  *waits = std::move(item);
  pump();
  return true;
}

bool Delivery::take_report(ByteReader& reader) {
  Item item;
  item.text = reader.get_text(kMaxText);
  if (!reader.done()) return false;
  if (++reports_ <= kMostReports) return add(std::move(item));
  ends_.too_many(kMostReports, "reports");
  return true;
}

// True: what is too much follows the grammar all the same.
bool Delivery::add(Item item) {
  if (!has_room()) {
    ends_.too_many(kMostHeld, "files and reports that nobody has taken yet");
    return true;
  }
  outbox_.push_back(std::move(item));
  pump();
  return true;
}

// Hands the client what may go now.
void Delivery::pump() {
  while (!outbox_.empty() && may_leave(outbox_.front())) {
    Item item = std::move(outbox_.front());
    outbox_.pop_front();
    if (!item.is_file) {
      ends_.tell(FrameBuilder(FrameType::kResultReport).text(bundle_).text(item.text).build());
      continue;
    }
    const auto sequence = item.sequence;
    if (is_abandoned_) {
      ends_.settle(sequence, Outcome::kTaken);
      continue;
    }
    if (!item.error) ends_.handed();
    if (!hand_out(item, false)) refused_.insert(sequence);
    sent_.emplace(sequence, std::move(item));
  }
  if (!refused_.empty()) retry_later();
  ends_.moved();
}

bool Delivery::may_leave(const Item& item) {
  if (is_abandoned_) return true;
  if (item.lost) {
    retry_later();
    return false;
  }
  // What follows the files must not overtake one that is refused and sent again.
  if (!item.is_file || item.text == kIndexName) {
    if (!sent_.empty()) return false;
  }
  if (!item.is_file || !rate_) return true;
  const auto now = Clock::now();
  if (rate_->take(now)) return true;
  loop_.cancel(std::exchange(rate_timer_, 0));
  if (const auto when = rate_->next(now)) {
    rate_timer_ = loop_.call_at(*when, [this] { pump(); });
  }
  return false;
}

// Sends duplicates of the file's descriptors. False: there is no room for them here.
bool Delivery::hand_out(const Item& item, bool alone) {
  FrameBuilder ready(FrameType::kFileReady);
  ready.number((uint64_t{job_} << kSequenceBits) | item.sequence);
  ready.text(bundle_).text(item.text).error(item.error);
  for (const auto& fd : item.fds) {
    UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy.is_open()) return false;
    if (fd.closes_aside()) copy.close_aside();
    ready.fd(std::move(copy));
  }
  Frame frame = ready.build();
  frame.alone = alone;
  ends_.tell(std::move(frame));
  return true;
}

bool Delivery::settle(uint64_t sequence, Outcome outcome) {
  if (outcome == Outcome::kRefused) {
    if (sent_.contains(sequence)) refused_.insert(sequence);
    retry_later();
    return false;
  }
  if (outcome == Outcome::kClosed) {
    // It has arrived, then; ours would make a file that is to be published one with a writer.
    if (const auto found = sent_.find(sequence); found != sent_.end()) found->second.fds.clear();
    ends_.settle(sequence, outcome);
    return false;
  }
  if (sent_.erase(sequence) == 0) return false;  // settled twice
  refused_.erase(sequence);
  ends_.settle(sequence, outcome);
  return true;
}

// Each that found no room, here or there, goes alone: there may be room for one at a time.
void Delivery::retry() {
  loop_.cancel(std::exchange(retry_timer_, 0));
  while (!refused_.empty()) {
    const auto found = sent_.find(*refused_.begin());
    if (found != sent_.end() && !hand_out(found->second, true)) break;
    refused_.erase(refused_.begin());
  }
  if (!outbox_.empty() && outbox_.front().lost && !outbox_.front().asked) {
    outbox_.front().asked = true;
    ends_.settle(outbox_.front().sequence, Outcome::kRefused);
  }
  pump();
}

void Delivery::retry_later() {
  if (retry_timer_ != 0) return;
  retry_timer_ = loop_.call_at(Clock::now() + kRetryAfter, [this] { retry(); });
}

void Delivery::limit_rate(uint32_t files_per_second) {
  const auto now = Clock::now();
  if (rate_) {
    rate_->set_rate(files_per_second, now);
  } else {
    rate_.emplace(files_per_second, now);
  }
  pump();
}

std::optional<double> Delivery::rate() const {
  if (!rate_) return std::nullopt;
  return rate_->rate();
}

void Delivery::abandon() {
  is_abandoned_ = true;
  for (const auto& [sequence, item] : sent_) ends_.settle(sequence, Outcome::kTaken);
  sent_.clear();
  refused_.clear();
  pump();
}

void Delivery::forget() {
  outbox_.clear();
  sent_.clear();
  refused_.clear();
}

size_t Delivery::descriptors() const {
  size_t all = 0;
  for (const auto& [sequence, item] : sent_) all += item.fds.size();
  return all;
}

}  // namespace backupkit
