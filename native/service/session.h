// One session: the bundles a client appended, and when each of them runs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "native/service/job.h"

namespace backupkit {

// Runs on the loop's thread. Bundles start by priority, then in call order, and at most
// `max_extensions` run at once, never two of one name. A bundle of a restore waits until those of
// the session that its restoreDeps name have ended, well or not. Every frame for the client goes
// through `tell`; while the client is behind, nothing begins.
class Session {
 public:
  struct Hooks {
    std::function<void(Frame)> tell;
    std::function<bool()> is_heard;  // false: the client is behind with what it was told
    std::function<void()> ended;     // after release(): nothing of the session is left
  };

  // `root`, `settings` and `metrics` outlive the session. `window`: files that the client takes at
  // a time.
  Session(SessionKind kind, BorrowedFd root, const ServiceSettings& settings, Loop& loop,
          Metrics& metrics, uint32_t window, Hooks hooks);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Adds the bundles and starts the first. `capabilities` is the capability file's text, of a
  // restore. Error: nothing has begun, and the call may be made again unless it is kNotPermitted.
  [[nodiscard]] Result<void> append(std::vector<BundleRequest> requests,
                                    std::string_view capabilities);

  [[nodiscard]] Result<void> file_handle(const std::string& bundle, const std::string& uri);

  // Nothing: the answer comes later, as the Reply to `request`.
  [[nodiscard]] Result<void> publish(uint32_t request, const std::string& bundle,
                                     const std::string& uri, UniqueFd content);

  void settle(uint64_t sequence, Outcome outcome);

  // The client is no longer behind.
  void resume() { schedule_later(); }

  // False: the bundle does not run, or is of another kind of session.
  [[nodiscard]] bool update_timer(const std::string& bundle, std::chrono::milliseconds limit);
  [[nodiscard]] bool update_rate(const std::string& bundle, uint32_t files_per_second);

  // std::nullopt: the bundle will end by it; else why not, as a code. Where none of that name runs,
  // all of them that wait are taken out.
  [[nodiscard]] std::optional<Code> cancel(const std::string& bundle);

  // Stops what runs and says nothing any more; `ended` is called when all is gone, which may be
  // before this returns. A restore that is published is finished first.
  void release();

  [[nodiscard]] SessionKind kind() const { return kind_; }

  // What became of its bundles so far.
  struct Counts {
    size_t ended = 0;    // after they had begun
    size_t failed = 0;   // of those
    size_t refused = 0;  // did not begin
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }

  [[nodiscard]] std::vector<RunningBundle> running() const;
  [[nodiscard]] size_t waiting() const { return waiting_.size(); }
  [[nodiscard]] bool is_running(const std::string& bundle) const {
    return running_.contains(bundle);
  }

 private:
  void admit(Job& job, const Origins& origins);
  [[nodiscard]] std::vector<std::unique_ptr<Job>> make_jobs(std::vector<BundleRequest> requests,
                                                            const Origins& origins);
  [[nodiscard]] static Result<void> check_dependencies(
      const std::vector<std::unique_ptr<Job>>& jobs);
  void add(std::vector<std::unique_ptr<Job>> jobs);
  [[nodiscard]] bool has_to_wait(const Job& job) const;
  // A bundle whose extension opens its sandbox; when it has become too late for its turn.
  struct Opening {
    size_t index = 0;
    Loop::Clock::time_point late;
  };

  [[nodiscard]] Result<void> check(const std::vector<BundleRequest>& requests) const;
  void schedule_later();
  void schedule();
  [[nodiscard]] uint32_t share() const;
  void begin_opened();
  void on_end(Job& job);
  void leave_batch(const Job& job);
  void take_out(Job& job);
  void end_if_released();
  void tell(Frame frame);
  [[nodiscard]] Job* find(const std::string& bundle);

  SessionKind kind_;
  uint32_t window_;
  Hooks hooks_;
  JobContext context_;
  std::vector<std::unique_ptr<Job>> jobs_;                         // in call order
  std::map<std::string, std::vector<size_t>, std::less<>> named_;  // in call order
  std::map<std::string, size_t, std::less<>> running_;
  std::set<std::pair<int64_t, size_t>> waiting_;  // priority, highest first, and place in jobs_
  size_t refused_ = 0;                            // those of them that will not run
  std::vector<size_t> unfinished_;                // bundles by batch
  Counts counts_;
  Loop::TimerId next_turn_ = 0;
  std::vector<Opening> opening_;  // in the order of their starts
  Loop::TimerId patience_ = 0;    // with the first of them
  bool released_ = false;
  bool ended_ = false;
};

}  // namespace backupkit
