// One bundle of a session: its extension, its time, and its files on their way to the client.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "native/service/access.h"
#include "native/service/delivery.h"
#include "native/service/freezer.h"
#include "native/service/inquiry.h"
#include "native/service/launch.h"
#include "native/service/metrics.h"
#include "native/service/origin.h"
#include "native/service/publication.h"
#include "native/service/time_limit.h"
#include "native/transfer/token_bucket.h"

namespace backupkit {

class Job;

// What all bundles of a session have in common.
struct JobContext {
  SessionKind kind;
  BorrowedFd root;
  const ServiceSettings& settings;
  Loop& loop;
  Metrics& metrics;
  std::function<void(Frame)> tell;  // to the client
  std::function<bool()> is_heard;   // false: the client is behind with what it was told
  std::function<void()> opened;     // one that had started has just opened its sandbox
  std::function<void(Job&)> ended;  // one that had started has just ended
};

// Runs on the loop's thread.
class Job {
 public:
  // `context` outlives the job.
  Job(const JobContext& context, BundleRequest request, size_t index, size_t batch);
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  [[nodiscard]] const std::string& name() const { return request_.name; }
  [[nodiscard]] const BundleRequest& request() const { return request_; }
  [[nodiscard]] const Bundle& bundle() const { return bundle_; }  // once it was admitted
  [[nodiscard]] size_t index() const { return index_; }
  [[nodiscard]] size_t batch() const { return batch_; }
  [[nodiscard]] bool is_waiting() const { return phase_ == Phase::kWaiting; }
  [[nodiscard]] bool is_running() const { return phase_ == Phase::kRunning; }
  [[nodiscard]] bool has_opened() const { return has_opened_; }
  [[nodiscard]] bool has_begun() const { return has_begun_; }
  [[nodiscard]] bool is_refused() const { return error_.has_value(); }
  [[nodiscard]] bool has_failed() const { return phase_ == Phase::kEnded && error_.has_value(); }

  // Before it starts: what it will work on, or why it will not begin.
  void admit(Bundle bundle, Origin origin);
  void refuse(Error error) { error_ = std::move(error); }

  // It will not begin, and nothing is told of it. One that has started ends later.
  void drop();

  // Starts its extension, with so many files under way at a time, or tells that it is refused. The
  // first that the extension does is to open the sandbox; then it waits for begin().
  void start(uint32_t window);

  // Of one that has opened: lets its extension go on, and tells so.
  void begin();

  [[nodiscard]] Result<void> file_handle(const std::string& uri);
  // As Publication has it; Error kNotPermitted: the bundle takes none now.
  [[nodiscard]] Result<void> publish(uint32_t request, const std::string& uri, UniqueFd content);
  void settle(uint64_t sequence, Outcome outcome);

  // Whether the bundle takes them: it runs, and is not being ended.
  [[nodiscard]] bool update_timer(std::chrono::milliseconds limit);
  [[nodiscard]] bool update_rate(uint32_t files_per_second);

  // What there is to say of one that runs.
  [[nodiscard]] RunningBundle watched() const;

  // Ends it with `error`. False where it ends with another result: a restore that is being applied
  // is finished first, and one that has its result keeps it.
  bool cancel(Error error);

  // Nobody is there to take its files any more: they count as taken, so that what is to be finished
  // waits for nobody.
  void abandon();

 private:
  // What the client is told of an app whose extension says anything.
  static constexpr uint32_t kMostProcesses = 20;  // a second

  enum class Phase { kWaiting, kRunning, kEnded };

  [[nodiscard]] Result<void> launch_extension();
  void on_frame(Frame frame);
  [[nodiscard]] bool take_frame(Frame& frame, ByteReader& reader);
  [[nodiscard]] bool take_opened(const ByteReader& reader);
  [[nodiscard]] bool take_done(ByteReader& reader);
  void stop_past(size_t most, std::string_view what);
  [[nodiscard]] bool take_progress(ByteReader& reader);
  [[nodiscard]] bool take_moved(ByteReader& reader);
  [[nodiscard]] bool take_recovered(ByteReader& reader);
  [[nodiscard]] bool waits_for_client() const;
  [[nodiscard]] std::string_view stage_now() const;
  [[nodiscard]] bool freeze();
  void on_exit(std::optional<int> status);
  void tell_refusal(const Error& error);
  void recover(bool is_well, bool is_finished);
  void not_recovered(const Error& error);
  [[nodiscard]] bool tell_extension(Frame frame);
  void settle_extension(uint64_t sequence, Outcome outcome);
  void on_time_up();
  [[nodiscard]] Error time_out() const;
  void stop(Error error);
  [[nodiscard]] bool is_under_way() const { return phase_ == Phase::kRunning && !aborted_; }
  [[nodiscard]] bool has_result() const;
  [[nodiscard]] bool has_new_data() const;
  void finish_if_done();
  void tell_end();
  [[nodiscard]] std::string subject() const;
  void log_end() const;

  const JobContext& context_;
  BundleRequest request_;
  size_t index_;
  size_t batch_;
  Bundle bundle_;
  Origin origin_;
  Loop::Clock::time_point begun_;
  uint64_t files_ = 0;  // handed to the client
  Moved moved_;
  std::optional<Error> error_;

  Launch process_;
  std::unique_ptr<Freezer> freezer_;   // as long as the app is to stand still
  std::unique_ptr<Inquiry> recovery_;  // of a restore that did not end by itself
  Delivery delivery_;
  Publication publication_;
  TokenBucket processes_{kMostProcesses, TokenBucket::Time::clock::now()};
  uint32_t window_ = 1;
  Phase phase_ = Phase::kWaiting;
  bool has_opened_ = false;
  bool has_begun_ = false;  // and the client was told so
  bool dropped_ = false;
  bool hook_wants_release_ = false;
  bool has_recovered_ = false;  // what an earlier restore had left, and the log says so
  bool done_ = false;           // the extension has said its result
  bool aborted_ = false;        // what is still under way does not count
  bool exited_ = false;

  TimeLimit time_limit_;         // counts from the start
  std::string stage_ = "start";  // of the extension's work, as it says
  std::string path_;             // the last one it spoke of
};

}  // namespace backupkit
