// What a client asks outside of a session's bundles: a process answers it, and it has its own time.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "native/service/access.h"
#include "native/service/launch.h"
#include "native/service/survey.h"

namespace backupkit {

// Its result: a text, and for a survey a descriptor.
struct Answer {
  std::string text;
  UniqueFd file;
};

// Runs on the loop's thread.
class Inquiry {
 public:
  using Done = std::function<void(Result<Answer>)>;

  // The capability file, or the reports, which go to `report` as they come.
  [[nodiscard]] static Result<std::unique_ptr<Inquiry>> survey(
      Loop& loop, BorrowedFd root, const ServiceSettings& settings, const SurveyScope& scope,
      std::function<void(const std::string&)> report);

  // A call of the bundle's own code, or of its extension. Without a hook program that knows it the
  // answer is "". Error kTimedOut where getBackupInfo takes longer than five seconds; a
  // compatibility call has one, and then the answer is "". Error kInvalidArgument: it is not
  // installed; kIpc: it died before its answer, or has a text in it of more than kMaxText bytes.
  // That of launch(), with `stuck`, which then has it where its extension does not end.
  [[nodiscard]] static Result<std::unique_ptr<Inquiry>> app_call(Loop& loop, BorrowedFd root,
                                                                 const std::string& bundle,
                                                                 AppCall call, std::string argument,
                                                                 std::set<std::string>* stuck);

  // Kills what still works for it.
  ~Inquiry();
  Inquiry(const Inquiry&) = delete;
  Inquiry& operator=(const Inquiry&) = delete;

  // Who gets the answer; called once, when the processes are gone; it may destroy this.
  void then(Done done) { done_ = std::move(done); }

 private:
  explicit Inquiry(Loop& loop) : loop_(loop) {}

  void on_frame(Frame frame);
  void take_frame(Frame& frame, ByteReader& reader);
  void on_exit();
  void on_end(std::optional<int> status);
  void end_if_done();
  void limit(std::chrono::milliseconds time, std::optional<Error> error);
  [[nodiscard]] Worker::Handlers handlers();

  Loop& loop_;
  std::string bundle_;  // whose own code or extension is asked
  std::set<std::string>* stuck_ = nullptr;
  bool has_recovered_ = false;  // what an earlier restore had left, and the log says so
  Launch process_;
  Done done_;
  std::function<void(const std::string&)> report_;
  Answer answer_;
  std::optional<Error> error_;
  bool said_ = false;
  Loop::TimerId timer_ = 0;
};

}  // namespace backupkit
