// One session: the bundles a client appended, and the extensions that serve them.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "native/io/loop.h"
#include "native/io/process.h"
#include "native/protocol/channel.h"
#include "native/service/catalog.h"

namespace backupkit {

// Runs on the loop's thread. Bundles start by priority, then in call order, and at most
// `max_extensions` run at once. Every frame for the client goes through `tell`.
class Session {
 public:
  struct Hooks {
    std::function<void(Frame)> tell;
    std::function<void()> ended;  // after release(): nothing of the session is left
  };

  // `root` and `settings` outlive the session.
  Session(SessionKind kind, BorrowedFd root, const ServiceSettings& settings, Loop& loop,
          Hooks hooks);
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
                                     const std::string& uri);

  void settle(uint64_t sequence, Outcome outcome);

  // Stops what runs and says nothing any more; `ended` is called when all is gone, which may be
  // before this returns. A restore that is published is finished first.
  void release();

  [[nodiscard]] SessionKind kind() const { return kind_; }

 private:
  struct Job;

  void schedule();
  void start(Job& job);
  [[nodiscard]] Result<void> launch(Job& job);
  [[nodiscard]] Result<UniqueFd> settings_of(const Job& job) const;
  void on_channel(Job& job);
  void drain(Job& job);
  void on_frame(Job& job, Frame frame);
  void on_exit(Job& job);
  void stop(Job& job, Error error);
  void send(Job& job, Frame frame);
  void grant(Job& job, uint32_t files);
  void forward_handles(Job& job);
  void end(Job& job);
  void tell(Frame frame);
  void check_end();
  [[nodiscard]] Job* find(const std::string& bundle);

  SessionKind kind_;
  BorrowedFd root_;
  const ServiceSettings& settings_;
  Loop& loop_;
  Hooks hooks_;
  uint32_t window_;  // files under way per extension
  std::vector<std::unique_ptr<Job>> jobs_;
  size_t running_ = 0;
  Loop::TimerId first_turn_ = 0;
  bool appended_ = false;
  bool all_ended_ = false;
  bool released_ = false;
};

}  // namespace backupkit
