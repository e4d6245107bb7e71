#include "native/service/inquiry.h"

#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "native/base/log.h"

namespace backupkit {
namespace {

using nlohmann::json;

constexpr auto kInfoTime = std::chrono::seconds(5);
constexpr auto kCompatibilityTime = std::chrono::seconds(1);
constexpr auto kRecoveryTime = std::chrono::minutes(15);
// Of a process that has said everything, until it is killed.
constexpr auto kLongestEnd = std::chrono::seconds(6);

}  // namespace

Result<std::unique_ptr<Inquiry>> Inquiry::survey(Loop& loop, BorrowedFd root,
                                                 const ServiceSettings& settings,
                                                 const SurveyScope& scope,
                                                 std::function<void(const std::string&)> report) {
  std::unique_ptr<Inquiry> inquiry(new Inquiry(loop));
  inquiry->report_ = std::move(report);
  auto request = survey_request(root, settings, scope);
  if (!request) return failure(request.error());
  auto worker = Worker::start(loop, {"--survey"}, inquiry->handlers());
  if (!worker) return failure(worker.error());
  inquiry->process_.extension = std::move(*worker);
  inquiry->process_.extension->say(std::move(*request));
  return inquiry;
}

Result<std::unique_ptr<Inquiry>> Inquiry::app_call(Loop& loop, BorrowedFd root,
                                                   const std::string& bundle, AppCall call,
                                                   std::string argument,
                                                   std::set<std::string>* stuck) {
  auto found = read_bundle(root, bundle);
  if (!found) {
    Error error = found.error();
    if (error.code == Code::kNotAdded) error.code = Code::kInvalidArgument;
    return failure(std::move(error));
  }
  const bool undoes = call == AppCall::kRecover && argument == "undo";
  if (call == AppCall::kCleanTemp || undoes) found->hook.clear();  // the extension's own work
  std::unique_ptr<Inquiry> inquiry(new Inquiry(loop));
  inquiry->bundle_ = bundle;
  inquiry->stuck_ = stuck;
  const json settings = {
      {"name", bundle}, {"appCall", static_cast<int>(call)}, {"appInfo", std::move(argument)}};
  LaunchPlan plan{.kind = SessionKind::kAppCall,
                  .bundle = *found,
                  .root = root,
                  .settings = settings.dump(-1, ' ', false, json::error_handler_t::replace),
                  .window = 0,
                  .manifest = UniqueFd(),
                  .stuck = stuck};
  const auto hook_exit = [self = inquiry.get()] {
    self->process_.hook.reset();
    self->end_if_done();
  };
  auto launched = launch(loop, std::move(plan), inquiry->handlers(), hook_exit);
  if (!launched) return failure(launched.error());
  inquiry->process_ = std::move(*launched);
  if (call == AppCall::kBackupInfo) {
    inquiry->limit(kInfoTime, Error{Code::kTimedOut, 0,
                                    "the hook program of '" + bundle +
                                        "' did not answer getBackupInfo within 5 s"});
  } else if (call == AppCall::kRecover || call == AppCall::kCleanTemp) {
    inquiry->limit(kRecoveryTime,
                   Error{Code::kTimedOut, 0, "the recovery of '" + bundle + "' took too long"});
  } else {
    inquiry->limit(kCompatibilityTime, std::nullopt);
  }
  return inquiry;
}

Inquiry::~Inquiry() { loop_.cancel(timer_); }

Worker::Handlers Inquiry::handlers() {
  Worker::Handlers handlers;
  handlers.frame = [this](Frame frame) { on_frame(std::move(frame)); };
  handlers.broken = [this](const Error& error) { error_ = error; };
  handlers.exit = [this](std::optional<int> status) { on_end(status); };
  return handlers;
}

void Inquiry::limit(std::chrono::milliseconds time, std::optional<Error> error) {
  loop_.cancel(timer_);
  timer_ = loop_.call_at(Loop::Clock::now() + time, [this, late = std::move(error)] {
    if (!said_) error_ = late;
    said_ = true;
    if (process_.extension) process_.extension->kill();
    if (process_.hook) process_.hook->kill();
  });
}

void Inquiry::on_frame(Frame frame) {
  ByteReader reader(frame.body);
  take_frame(frame, reader);
  if (!reader.ok()) {
    const auto who = bundle_.empty() ? "the survey" : "the extension of '" + bundle_ + "'";
    error_ = Error{Code::kIpc, 0, "a frame of " + who + " " + wrong_with(reader)};
    return process_.extension->kill();
  }
  if (frame.type != FrameType::kDone) return;
  said_ = true;
  if (bundle_.empty()) return on_exit();  // a survey, of which a part may wait for ever
  if (process_.hook) process_.hook->finish("");
  limit(kLongestEnd, std::nullopt);
}

void Inquiry::take_frame(Frame& frame, ByteReader& reader) {
  if (frame.type == FrameType::kOpened) {
    process_.extension->say(FrameBuilder(FrameType::kBegin).build());
  } else if (frame.type == FrameType::kCheck) {
    process_.extension->say(FrameBuilder(FrameType::kChecked).build());
  } else if (frame.type == FrameType::kFile && !frame.fds.empty()) {
    answer_.file = std::move(frame.fds[0]);
  } else if (frame.type == FrameType::kFile) {
    error_ = Error{Code::kOutOfMemory, 0, "no descriptor is free for the capability file"};
  } else if (frame.type == FrameType::kReport) {
    answer_.text = reader.get_text(kMaxText);
    if (report_ && reader.ok()) report_(answer_.text);
  } else if (frame.type == FrameType::kRecovered && !std::exchange(has_recovered_, true)) {
    const auto what = reader.get_text(kMaxText);
    if (reader.ok()) log_line(LogLevel::kWarning, "'" + bundle_ + "': " + what);
  } else if (frame.type == FrameType::kDone) {
    if (auto error = read_error(reader)) error_ = std::move(error);
  }
}

void Inquiry::on_end(std::optional<int> status) {
  if (!status && stuck_ != nullptr) note_stuck(*stuck_, bundle_, *process_.extension);
  on_exit();
}

void Inquiry::on_exit() {
  process_.extension.reset();
  if (process_.hook && !said_) process_.hook->kill();
  end_if_done();
}

void Inquiry::end_if_done() {
  if (process_.extension || process_.hook) return;
  if (!said_ && !error_) {
    error_ = Error{Code::kIpc, 0, "the process that was to answer has died"};
  }
  const auto done = std::move(done_);
  if (!done) return;
  if (error_) return done(failure(std::move(*error_)));
  done(std::move(answer_));
}

}  // namespace backupkit
