#include "native/service/job.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "native/base/log.h"
#include "native/service/bundle_settings.h"
#include "native/service/notes.h"

namespace backupkit {
namespace {

using Clock = Loop::Clock;

constexpr uint32_t kDefaultRate = 60;
// What an extension says that it is at.
constexpr std::array<std::string_view, 8> kStages = {"start", "delay",   "scan",   "pack",
                                                     "send",  "receive", "verify", "commit"};

std::string seconds_text(std::chrono::nanoseconds time) {
  const auto tenths = std::chrono::duration_cast<std::chrono::milliseconds>(time).count() / 100;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

}  // namespace

Job::Job(const JobContext& context, BundleRequest request, size_t index, size_t batch)
    : context_(context),
      request_(std::move(request)),
      index_(index),
      batch_(batch),
      delivery_(context.loop, context.kind, request_.name, index,
                {.tell = [this](Frame frame) { context_.tell(std::move(frame)); },
                 .settle = [this](uint64_t sequence,
                                  Outcome outcome) { settle_extension(sequence, outcome); },
                 .too_many = [this](size_t most, std::string_view what) { stop_past(most, what); },
                 .handed =
                     [this] {
                       ++files_;
                       ++context_.metrics.files_handed_out;
                     },
                 .moved = [this] { finish_if_done(); }}),
      publication_(request_.name,
                   {.ask = [this](Frame frame) { return tell_extension(std::move(frame)); },
                    .tell = [this](Frame frame) { context_.tell(std::move(frame)); }}),
      time_limit_(context.loop, [this] { on_time_up(); }) {}

void Job::admit(Bundle bundle, Origin origin) {
  bundle_ = std::move(bundle);
  origin_ = std::move(origin);
}

void Job::start(uint32_t window) {
  window_ = window;
  if (!error_) {
    if (auto launched = launch_extension(); !launched) {
      error_ = launched.error();
      if (error_->code != Code::kNotPermitted) error_->code = Code::kExtensionStartFailed;
    }
  }
  if (error_) {
    phase_ = Phase::kEnded;
    return tell_refusal(*error_);
  }
  phase_ = Phase::kRunning;
  begun_ = Clock::now();
  time_limit_.start(context_.settings.idle_limit);
  if (context_.kind != SessionKind::kRestore && context_.settings.max_send_rate > 0) {
    delivery_.limit_rate(std::min(kDefaultRate, context_.settings.max_send_rate));
  }
}

void Job::tell_refusal(const Error& error) {
  context_.tell(FrameBuilder(FrameType::kBundleBegin).text(name()).error(error).build());
  context_.metrics.count_refusal(error);
  log_failure(when_told(LogLevel::kError), "begin of the " + subject(), error);
}

Result<void> Job::launch_extension() {
  LaunchPlan plan{.kind = context_.kind,
                  .bundle = bundle_,
                  .root = context_.root,
                  .settings = settings_of(context_.kind, bundle_, request_, origin_,
                                          context_.settings.packing_limit),
                  .window = window_,
                  .manifest = std::move(request_.manifest),
                  .stuck = &context_.metrics.stuck};
  Worker::Handlers handlers;
  handlers.frame = [this](Frame frame) { on_frame(std::move(frame)); };
  handlers.broken = [this](const Error& error) {
    stop(error.in("the extension of '" + name() + "'"));
  };
  handlers.exit = [this](std::optional<int> status) { on_exit(status); };
  const auto hook_exit = [this] {
    process_.hook.reset();
    finish_if_done();
  };
  auto launched = launch(context_.loop, std::move(plan), std::move(handlers), hook_exit);
  if (!launched) return failure(launched.error());
  process_ = std::move(*launched);
  ++context_.metrics.extensions_started;
  return {};
}

void Job::on_frame(Frame frame) {
  if (aborted_) return;
  ByteReader reader(frame.body);
  if (take_frame(frame, reader)) return time_limit_.progress();
  stop(Error{Code::kIpc, 0, "a frame of the extension of '" + name() + "' " + wrong_with(reader)});
}

// False: it does not follow the grammar.
bool Job::take_frame(Frame& frame, ByteReader& reader) {
  if (frame.type == FrameType::kOpened) return take_opened(reader);
  if (frame.type == FrameType::kDone) return take_done(reader);
  if (!has_begun_) return false;
  switch (frame.type) {
    case FrameType::kFile:
      return delivery_.take_file(frame, reader);
    case FrameType::kPublished:
      return publication_.take_published(reader);
    case FrameType::kReport:
      return delivery_.take_report(reader);
    case FrameType::kProgress:
      return take_progress(reader);
    case FrameType::kHookReady:
      hook_wants_release_ = reader.get<uint8_t>() != 0;
      return reader.done();
    case FrameType::kFreeze:
      return reader.done() && freeze();
    case FrameType::kThaw:
      freezer_.reset();
      return reader.done();
    case FrameType::kCheck:
      return reader.done() && tell_extension(FrameBuilder(FrameType::kChecked).build());
    case FrameType::kRecovered:
      return take_recovered(reader);
    case FrameType::kMoved:
      return take_moved(reader);
    default:
      return false;
  }
}

bool Job::take_opened(const ByteReader& reader) {
  if (!reader.done() || std::exchange(has_opened_, true)) return false;
  context_.opened();
  return true;
}

void Job::begin() {
  if (aborted_ || done_) return;  // what ends it is known already
  if (context_.kind == SessionKind::kRestore) {
    if (auto noted = note(context_.root, Note::kRestore, name()); !noted) {
      return stop(noted.error());
    }
  }
  has_begun_ = true;
  time_limit_.progress();
  log_line(LogLevel::kInfo, subject() + " begins");
  context_.tell(FrameBuilder(FrameType::kBundleBegin).text(name()).error(std::nullopt).build());
  process_.extension->say(FrameBuilder(FrameType::kBegin).build());
  publication_.begin(window_);
}

bool Job::take_done(ByteReader& reader) {
  done_ = true;
  error_ = read_error(reader);
  if (!has_begun_ && !error_) return false;
  if (!has_begun_ && error_->code != Code::kNotPermitted) {
    error_->code = Code::kExtensionStartFailed;
  }
  if (context_.kind == SessionKind::kRestore && !error_) {
    settle_extension(kDoneSequence, Outcome::kTaken);
  }
  return reader.done();
}

void Job::stop_past(size_t most, std::string_view what) {
  stop(Error{Code::kIpc, 0,
             "the extension of '" + name() + "' sent more than " + std::to_string(most) + " " +
                 std::string(what)});
}

bool Job::take_progress(ByteReader& reader) {
  stage_ = reader.get_text(kMaxNameText);
  path_ = reader.get_text(kMaxText);
  const auto text = reader.get_text(kMaxText);
  if (!reader.done()) return false;
  if (!text.empty() && context_.is_heard() && processes_.take(Clock::now())) {
    context_.tell(FrameBuilder(FrameType::kProcess).text(name()).text(text).build());
  }
  return true;
}

bool Job::take_moved(ByteReader& reader) {
  constexpr uint64_t kMost = uint64_t{1} << 56U;  // what no app has
  Moved& all = context_.metrics.moved;
  for (const auto part : {&Moved::packed, &Moved::passed, &Moved::unpacked}) {
    const auto now = reader.get<uint64_t>();
    uint64_t& before = moved_.*part;
    if (now < before || now > kMost) return false;
    all.*part += now - before;
    before = now;
  }
  return reader.done();
}

bool Job::take_recovered(ByteReader& reader) {
  const auto what = reader.get_text(kMaxText);
  if (!reader.done() || std::exchange(has_recovered_, true)) return false;
  log_line(LogLevel::kWarning, "'" + name() + "': " + what);
  return true;
}

// The extension asks for it only where its settings say so.
bool Job::freeze() {
  if (freezer_ || bundle_.freeze.empty()) return false;
  auto freezer = Freezer::start(context_.loop, context_.root, bundle_, [this] {
    (void)tell_extension(FrameBuilder(FrameType::kFrozen).build());
  });
  if (!freezer) {
    stop(freezer.error());
  } else {
    freezer_ = std::move(*freezer);
  }
  return true;
}

void Job::on_exit(std::optional<int> status) {
  if (status) {
    log_line(LogLevel::kDebug,
             "the extension of '" + name() + "' ended with status " + std::to_string(*status));
  } else {
    note_stuck(context_.metrics.stuck, name(), *process_.extension);
  }
  freezer_.reset();
  process_.extension.reset();
  exited_ = true;
  if (!done_ && !error_) {
    aborted_ = true;
    error_ = Error{has_begun_ ? Code::kExtensionDied : Code::kExtensionStartFailed, 0,
                   "the extension of '" + name() + "' died (status " +
                       std::to_string(status.value_or(-1)) + ")"};
  }
  if (aborted_) delivery_.forget();
  const bool is_well = done_ && !error_;
  if (context_.kind == SessionKind::kRestore && has_begun_) {
    if (status) {
      recover(is_well, *status == 0);
    } else if (!is_well) {
      not_recovered(Error{Code::kTimedOut, 0, "its extension does not end"});
    }
  }
  if (process_.hook) {
    const nlohmann::ordered_json request = {
        {"id", 0},
        {"call", "onRelease"},
        {"scenario", context_.kind == SessionKind::kRestore ? "RESTORE" : "BACKUP"}};
    process_.hook->finish(hook_wants_release_ ? request.dump() : "");
  }
  finish_if_done();
}

// Before the end is told, the data have to be what it says: the new ones if the restore went well,
// else the old ones, all of them. An extension that did not get to its own end has left the rest.
void Job::recover(bool is_well, bool is_finished) {
  if (is_well && is_finished) return forget(context_.root, Note::kRestore, name());
  auto inquiry = Inquiry::app_call(context_.loop, context_.root, name(), AppCall::kRecover,
                                   is_well ? "" : "undo", &context_.metrics.stuck);
  if (!inquiry) return not_recovered(inquiry.error());
  recovery_ = std::move(*inquiry);
  recovery_->then([this](const Result<Answer>& answer) {
    const auto ended = std::move(recovery_);
    if (answer) {
      forget(context_.root, Note::kRestore, name());
    } else {
      not_recovered(answer.error());
    }
    finish_if_done();
  });
}

void Job::not_recovered(const Error& error) {
  if (error_) {
    error_->context += "; its old data are not back yet: " + error.message();
  } else {
    log_failure(LogLevel::kError, "recovery of '" + name() + "'", error);
  }
}

void Job::settle(uint64_t sequence, Outcome outcome) {
  if (phase_ != Phase::kRunning) return;
  if (outcome != Outcome::kRefused) time_limit_.progress();
  if (delivery_.settle(sequence, outcome)) publication_.taken();
  if (outcome != Outcome::kRefused) delivery_.retry();
}

// False: it has ended, and needs to be told nothing.
bool Job::tell_extension(Frame frame) {
  if (!process_.extension) return false;
  process_.extension->say(std::move(frame));
  return true;
}

void Job::settle_extension(uint64_t sequence, Outcome outcome) {
  (void)tell_extension(FrameBuilder(FrameType::kSettled)
                           .number(sequence)
                           .number(static_cast<uint8_t>(outcome))
                           .build());
}

Result<void> Job::file_handle(const std::string& uri) {
  if (phase_ == Phase::kEnded || publication_.is_complete()) {
    return failure(Code::kNotPermitted, "bundle '" + name() + "' is published already");
  }
  return publication_.file_handle(uri);
}

Result<void> Job::publish(uint32_t request, const std::string& uri, UniqueFd content) {
  if (phase_ != Phase::kRunning || !has_begun_ || publication_.is_complete()) {
    return failure(Code::kNotPermitted, "bundle '" + name() + "' takes no files now");
  }
  auto published = publication_.publish(request, uri, std::move(content));
  if (published) time_limit_.progress();
  return published;
}

bool Job::update_timer(std::chrono::milliseconds limit) {
  if (!is_under_way()) return false;
  time_limit_.set(limit);
  return true;
}

bool Job::update_rate(uint32_t files_per_second) {
  if (!is_under_way() || context_.kind == SessionKind::kRestore) return false;
  const auto cap = context_.settings.max_send_rate;
  const auto rate = cap == 0 ? files_per_second : std::min(files_per_second, cap);
  time_limit_.pause(rate == 0);
  delivery_.limit_rate(rate);
  return true;
}

bool Job::cancel(Error error) {
  if (aborted_) return error_ && error_->code == error.code;
  if (publication_.is_complete() || has_result()) return false;
  stop(std::move(error));
  return true;
}

void Job::drop() {
  if (phase_ == Phase::kWaiting) phase_ = Phase::kEnded;
  dropped_ = true;
  stop(Error{Code::kCancelled, 0, "it was cancelled before its begin"});
}

void Job::abandon() {
  if (!is_under_way()) return;
  delivery_.abandon();
}

void Job::on_time_up() {
  if (has_result()) return;
  ++context_.metrics.bundles_timed_out;
  if (!has_new_data()) return stop(time_out());
  if (process_.extension) process_.extension->kill();
}

Error Job::time_out() const {
  std::string text = "bundle '" + name() + "' " + time_limit_.reason();
  text += " in phase '" + (waits_for_client() ? std::string("send") : stage_) + "'";
  if (!path_.empty()) text += " at '" + path_ + "'";
  text += ", idle for " + seconds_text(time_limit_.idle());
  if (delivery_.untaken() > 0)
    text += "; files that the client has not taken: " + std::to_string(delivery_.untaken());
  return {Code::kTimedOut, 0, text};
}

// What waits here waits for the client, and so does an extension that has no credit left.
bool Job::waits_for_client() const {
  return delivery_.waiting() > 0 || delivery_.untaken() >= window_;
}

// One of a few: what the extension says is its own.
std::string_view Job::stage_now() const {
  if (recovery_) return "recover";
  if (exited_) return "end";
  if (waits_for_client()) return "send";
  if (stage_.starts_with("app")) return "app";
  const auto known = std::ranges::find(kStages, stage_);
  return known == kStages.end() ? "other" : *known;
}

RunningBundle Job::watched() const {
  RunningBundle said;
  said.name = name();
  said.phase = stage_now();
  said.age = Clock::now() - begun_;
  said.files = files_;
  said.moved = moved_;
  if (context_.kind != SessionKind::kRestore) {
    said.rate = delivery_.rate().value_or(std::numeric_limits<double>::infinity());
  }
  said.files_waiting = delivery_.waiting();
  said.descriptors = delivery_.descriptors();
  return said;
}

// Whatever its extension still clears away.
bool Job::has_new_data() const {
  return context_.kind == SessionKind::kRestore && done_ && !error_;
}

// Ends the bundle with `error`; the rest happens when its processes are gone.
void Job::stop(Error error) {
  if (!is_under_way() || has_result()) return;
  if (has_new_data()) return;
  aborted_ = true;
  error_ = std::move(error);
  if (process_.extension) {
    ++context_.metrics.extensions_killed;
    return process_.extension->kill();
  }
  delivery_.forget();
  finish_if_done();
}

// Nothing changes how it ends; only its hook program may still be at work, which has its own time.
bool Job::has_result() const { return exited_ && !recovery_ && delivery_.is_empty(); }

void Job::finish_if_done() {
  if (phase_ == Phase::kRunning && has_result() && !process_.hook) tell_end();
}

void Job::tell_end() {
  phase_ = Phase::kEnded;
  time_limit_.stop();
  publication_.end(
      error_.value_or(Error{Code::kExtensionDied, 0, "bundle '" + name() + "' has ended"}));
  if (has_begun_) {
    context_.tell(FrameBuilder(FrameType::kBundleEnd).text(name()).error(error_).build());
    context_.metrics.count_end(error_);
    log_end();
  } else if (error_ && !dropped_) {
    tell_refusal(*error_);
  }
  context_.ended(*this);
}

std::string Job::subject() const {
  return std::string(describe(context_.kind)) + " of '" + name() + "'";
}

void Job::log_end() const {
  if (error_) {
    // Who asks for an end has not failed.
    const bool is_wanted = error_->code == Code::kCancelled;
    log_failure(is_wanted ? LogLevel::kInfo : when_told(LogLevel::kError), subject(), *error_);
  }
  log_line(LogLevel::kInfo, subject() + " ended" + (error_ ? " with an error" : "") + " after " +
                                seconds_text(Clock::now() - begun_) + ", " +
                                std::to_string(files_) + " files were handed out");
}

}  // namespace backupkit
