// A bundle's files, and its reports, on their way from the extension to the client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/io/loop.h"
#include "native/protocol/wire.h"
#include "native/service/handover.h"
#include "native/transfer/token_bucket.h"

namespace backupkit {

// Runs on the loop's thread. Files leave in the order in which the extension sent them, at the rate
// asked for; one that the client refused for want of room is sent again. The descriptors of a file
// are kept until the client has taken it. Nothing that comes after a file, a report or the end, is
// told before the file was taken.
class Delivery {
 public:
  static constexpr unsigned kSequenceBits = 40;  // a file's number; above them its job's

  struct Ends {
    std::function<void(Frame)> tell;                                   // to the client
    std::function<void(uint64_t, Outcome)> settle;                     // to the extension
    std::function<void(size_t most, std::string_view what)> too_many;  // came than there may be
    std::function<void()> handed;                                      // a file, the first time
    std::function<void()> moved;                                       // some may have left
  };

  Delivery(Loop& loop, SessionKind kind, std::string bundle, size_t job, Ends ends)
      : loop_(loop),
        bundle_(std::move(bundle)),
        job_(job),
        ends_(std::move(ends)),
        handover_(kind) {}
  ~Delivery();
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  // From the extension. False: it does not follow the grammar.
  [[nodiscard]] bool take_file(Frame& frame, ByteReader& reader);
  [[nodiscard]] bool take_report(ByteReader& reader);

  // From the client. True where a file has left by it.
  [[nodiscard]] bool settle(uint64_t sequence, Outcome outcome);

  // Sends again what found no room, and what may go now.
  void retry();

  // As many files per second from now on, 0 for a pause.
  void limit_rate(uint32_t files_per_second);
  [[nodiscard]] std::optional<double> rate() const;

  // Nobody is there to take files any more: they count as taken.
  void abandon();

  // They are not sent any more.
  void forget();

  [[nodiscard]] bool is_empty() const { return outbox_.empty() && sent_.empty(); }
  [[nodiscard]] size_t waiting() const { return outbox_.size(); }
  [[nodiscard]] size_t untaken() const { return sent_.size(); }
  [[nodiscard]] size_t descriptors() const;

 private:
  static constexpr size_t kMostReports = 16;  // of an extension that says anything
  static constexpr size_t kMostHeld = size_t{2} * kMaxWindow;

  // A file from the extension, or a report, which has only a text.
  struct Item {
    bool is_file = false;
    bool lost = false;   // its descriptors found no room here
    bool asked = false;  // and the extension was told so
    uint64_t sequence = 0;
    std::string text;  // the uri, or the report
    std::optional<Error> error;
    std::vector<UniqueFd> fds;
  };

  [[nodiscard]] bool has_room() const { return outbox_.size() + sent_.size() < kMostHeld; }
  [[nodiscard]] bool add(Item item);
  void pump();
  [[nodiscard]] bool may_leave(const Item& item);
  [[nodiscard]] bool hand_out(const Item& item, bool alone);
  void retry_later();

  Loop& loop_;
  std::string bundle_;
  size_t job_;
  Ends ends_;
  Handover handover_;
  std::deque<Item> outbox_;          // not yet at the client, in order
  std::map<uint64_t, Item> sent_;    // at the client and not yet taken
  std::set<uint64_t> refused_;       // those of them that it has to get again
  std::optional<TokenBucket> rate_;  // none: as fast as it goes
  Loop::TimerId rate_timer_ = 0;
  Loop::TimerId retry_timer_ = 0;
  size_t reports_ = 0;
  bool is_abandoned_ = false;
};

}  // namespace backupkit
