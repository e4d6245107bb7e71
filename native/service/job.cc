#include "native/service/job.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
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
constexpr size_t kMaxHandles = 1'000'000;
constexpr size_t kMostHeld = size_t{2} * kMaxWindow;
// What an extension says that it is at.
constexpr std::array<std::string_view, 8> kStages = {"start", "delay",   "scan",   "pack",
                                                     "send",  "receive", "verify", "commit"};
constexpr std::string_view kIndexName = "manage.json";
// Nothing tells when a process has room for descriptors again; a settled file only makes it likely.
constexpr auto kRetryAfter = std::chrono::milliseconds(20);

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
      deadline_(context.settings.idle_limit, Clock::now()) {}

Job::~Job() {
  for (const auto timer : {rate_timer_, retry_timer_, deadline_timer_}) context_.loop.cancel(timer);
}

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
  context_.tell(FrameBuilder(FrameType::kBundleBegin).text(name()).error(error_).build());
  if (error_) {
    phase_ = Phase::kEnded;
    context_.metrics.count_refusal(*error_);
    log_failure(when_told(LogLevel::kError), "begin of the " + subject(), *error_);
    return;
  }
  phase_ = Phase::kRunning;
  log_line(LogLevel::kInfo, subject() + " begins");
  const auto now = Clock::now();
  begun_ = now;
  deadline_ = Deadline(context_.settings.idle_limit, now);
  watch_deadline();
  if (context_.kind != SessionKind::kRestore && context_.settings.max_send_rate > 0) {
    rate_.emplace(std::min(kDefaultRate, context_.settings.max_send_rate), now);
  }
  forward_handles();
}

Result<void> Job::launch_extension() {
  if (context_.kind == SessionKind::kRestore) {
    if (auto noted = note(context_.root, Note::kRestore, name()); !noted) return noted;
  }
  LaunchPlan plan{.kind = context_.kind,
                  .bundle = bundle_,
                  .root = context_.root,
                  .settings = settings_of(context_.kind, bundle_, request_, origin_,
                                          context_.settings.packing_limit),
                  .window = window_,
                  .manifest = std::move(request_.manifest)};
  Worker::Handlers handlers;
  handlers.frame = [this](Frame frame) { on_frame(std::move(frame)); };
  handlers.broken = [this](const Error& error) {
    stop(error.in("the extension of '" + name() + "'"));
  };
  handlers.exit = [this](int status) { on_exit(status); };
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
  if (take_frame(frame, reader)) return progress();
  stop(Error{Code::kIpc, 0, "a frame of the extension of '" + name() + "' " + wrong_with(reader)});
}

// False: it does not follow the grammar.
bool Job::take_frame(Frame& frame, ByteReader& reader) {
  switch (frame.type) {
    case FrameType::kFile:
      return take_file(frame, reader);
    case FrameType::kPublished:
      return take_published(reader);
    case FrameType::kReport:
      return take_report(reader);
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
    case FrameType::kRecovered:
      return take_recovered(reader);
    case FrameType::kMoved:
      return take_moved(reader);
    case FrameType::kDone:
      done_ = true;
      error_ = read_error(reader);
      if (context_.kind == SessionKind::kRestore && !error_) {
        settle_extension(kDoneSequence, Outcome::kTaken);
      }
      return reader.done();
    default:
      return false;
  }
}

bool Job::take_file(Frame& frame, ByteReader& reader) {
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
  if (waits != outbox_.end()) {
    *waits = std::move(item);
  } else {
    if (!has_room()) return stop_past(kMostHeld, "files and reports that nobody has taken yet");
    outbox_.push_back(std::move(item));
  }
  pump();
  return true;
}

bool Job::take_report(ByteReader& reader) {
  Item item;
  item.text = reader.get_text(kMaxText);
  if (!reader.done()) return false;
  if (++reports_ > kMostReports) return stop_past(kMostReports, "reports");
  if (!has_room()) return stop_past(kMostHeld, "files and reports that nobody has taken yet");
  outbox_.push_back(std::move(item));
  pump();
  return true;
}

bool Job::has_room() const { return outbox_.size() + sent_.size() < kMostHeld; }

// True: it follows the grammar, and has what it ends by.
bool Job::stop_past(size_t most, std::string_view what) {
  stop(Error{Code::kIpc, 0,
             "the extension of '" + name() + "' sent more than " + std::to_string(most) + " " +
                 std::string(what)});
  return true;
}

bool Job::take_published(ByteReader& reader) {
  const auto request = reader.get<uint32_t>();
  const auto error = read_error(reader);
  if (!reader.done() || publishing_.erase(request) == 0) return false;
  if (completing_.erase(request) != 0 && !error) published_ = true;
  context_.tell(reply_frame(request, error));
  return true;
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
    if (process_.extension) process_.extension->say(FrameBuilder(FrameType::kFrozen).build());
  });
  if (!freezer) {
    stop(freezer.error());
  } else {
    freezer_ = std::move(*freezer);
  }
  return true;
}

void Job::on_exit(int status) {
  log_line(LogLevel::kDebug,
           "the extension of '" + name() + "' ended with status " + std::to_string(status));
  freezer_.reset();
  process_.extension.reset();
  exited_ = true;
  if (!done_ && !error_) {
    aborted_ = true;
    error_ =
        Error{Code::kExtensionDied, 0,
              "the extension of '" + name() + "' died (status " + std::to_string(status) + ")"};
  }
  if (aborted_) forget_files();
  const bool is_well = done_ && !error_;
  if (context_.kind == SessionKind::kRestore) recover(is_well, status == 0);
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
                                   is_well ? "" : "undo");
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

// Hands the client what may go now.
void Job::pump() {
  while (!outbox_.empty() && may_leave(outbox_.front())) {
    Item item = std::move(outbox_.front());
    outbox_.pop_front();
    if (!item.is_file) {
      context_.tell(FrameBuilder(FrameType::kResultReport).text(name()).text(item.text).build());
      continue;
    }
    const auto sequence = item.sequence;
    if (abandoned_) {
      settle_extension(sequence, Outcome::kTaken);
      continue;
    }
    if (!item.error) {
      ++files_;
      ++context_.metrics.files_handed_out;
    }
    if (!hand_out(item, false)) refused_.insert(sequence);
    sent_.emplace(sequence, std::move(item));
  }
  if (!refused_.empty()) retry_later();
  finish_if_done();
}

bool Job::may_leave(const Item& item) {
  if (abandoned_) return true;
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
  context_.loop.cancel(std::exchange(rate_timer_, 0));
  if (const auto when = rate_->next(now)) {
    rate_timer_ = context_.loop.call_at(*when, [this] { pump(); });
  }
  return false;
}

// Sends duplicates of the file's descriptors. False: there is no room for them here.
bool Job::hand_out(const Item& item, bool alone) {
  FrameBuilder ready(FrameType::kFileReady);
  ready.number((uint64_t{index_} << kSequenceBits) | item.sequence);
  ready.text(name()).text(item.text).error(item.error);
  for (const auto& fd : item.fds) {
    UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy.is_open()) return false;
    ready.fd(std::move(copy));
  }
  Frame frame = ready.build();
  frame.alone = alone;
  context_.tell(std::move(frame));
  return true;
}

void Job::settle(uint64_t sequence, Outcome outcome) {
  if (phase_ != Phase::kRunning) return;
  if (outcome == Outcome::kRefused) {
    if (sent_.contains(sequence)) refused_.insert(sequence);
    return retry_later();
  }
  progress();
  if (outcome == Outcome::kClosed) {
    // It has arrived, then; ours would make a file that is to be published one with a writer.
    if (const auto found = sent_.find(sequence); found != sent_.end()) found->second.fds.clear();
    settle_extension(sequence, outcome);
  } else if (sent_.erase(sequence) != 0) {  // else: settled twice
    refused_.erase(sequence);
    settle_extension(sequence, outcome);
    if (handles_out_ > 0) --handles_out_;
    forward_handles();
  }
  retry();
}

// Asks again for what found no room, here or there. Each goes alone: there may be room for one at a
// time.
void Job::retry() {
  context_.loop.cancel(std::exchange(retry_timer_, 0));
  while (!refused_.empty()) {
    const auto found = sent_.find(*refused_.begin());
    if (found != sent_.end() && !hand_out(found->second, true)) break;
    refused_.erase(refused_.begin());
  }
  if (!outbox_.empty() && outbox_.front().lost && !outbox_.front().asked) {
    outbox_.front().asked = true;
    settle_extension(outbox_.front().sequence, Outcome::kRefused);
  }
  pump();
}

void Job::retry_later() {
  if (retry_timer_ != 0) return;
  retry_timer_ = context_.loop.call_at(Clock::now() + kRetryAfter, [this] { retry(); });
}

void Job::settle_extension(uint64_t sequence, Outcome outcome) {
  if (!process_.extension) return;
  process_.extension->say(FrameBuilder(FrameType::kSettled)
                              .number(sequence)
                              .number(static_cast<uint8_t>(outcome))
                              .build());
}

void Job::forward_handles() {
  while (process_.extension && !handles_.empty() && handles_out_ < window_) {
    ++handles_out_;
    process_.extension->say(FrameBuilder(FrameType::kHandle).text(handles_.front()).build());
    handles_.pop_front();
  }
}

Result<void> Job::file_handle(const std::string& uri) {
  if (phase_ == Phase::kEnded || published_ || !completing_.empty()) {
    return failure(Code::kNotPermitted, "bundle '" + name() + "' is published already");
  }
  if (handles_.size() >= kMaxHandles) {
    return failure(Code::kOutOfMemory, "at most " + std::to_string(kMaxHandles) +
                                           " files may be asked for beforehand for '" + name() +
                                           "'");
  }
  handles_.push_back(uri);
  if (phase_ == Phase::kRunning) forward_handles();
  return {};
}

Result<void> Job::publish(uint32_t request, const std::string& uri, UniqueFd content) {
  if (phase_ != Phase::kRunning || published_ || !completing_.empty()) {
    return failure(Code::kNotPermitted, "bundle '" + name() + "' takes no files now");
  }
  if (uri.empty() && content.is_open()) {
    return failure(Code::kInvalidArgument, "a file that is given needs a uri");
  }
  publishing_.insert(request);
  if (uri.empty()) completing_.insert(request);
  progress();
  if (process_.extension) {
    FrameBuilder told(FrameType::kPublishFile);
    told.number(request).text(uri);
    if (content.is_open()) told.fd(std::move(content));
    process_.extension->say(told.build());
  }
  return {};
}

bool Job::update_timer(std::chrono::milliseconds limit) {
  if (phase_ != Phase::kRunning) return false;
  limit_ = limit;
  deadline_.set_limit(BootClock::now() + limit);
  watch_deadline();
  return true;
}

bool Job::update_rate(uint32_t files_per_second) {
  if (phase_ != Phase::kRunning || context_.kind == SessionKind::kRestore) return false;
  const auto cap = context_.settings.max_send_rate;
  const auto rate = cap == 0 ? files_per_second : std::min(files_per_second, cap);
  const auto now = Clock::now();
  if (rate_) {
    rate_->set_rate(rate, now);
  } else {
    rate_.emplace(rate, now);
  }
  if (rate == 0) {
    deadline_.pause(now);
  } else {
    deadline_.resume(now);
  }
  watch_deadline();
  pump();
  return true;
}

bool Job::cancel(Error error) {
  if (aborted_) return error_ && error_->code == error.code;
  if (published_ || !completing_.empty() || has_result()) return false;
  stop(std::move(error));
  return true;
}

void Job::abandon() {
  if (phase_ != Phase::kRunning || aborted_) return;
  abandoned_ = true;
  for (const auto& [sequence, item] : sent_) settle_extension(sequence, Outcome::kTaken);
  sent_.clear();
  refused_.clear();
  pump();
}

void Job::progress() { deadline_.progress(Clock::now()); }

void Job::watch_deadline() {
  context_.loop.cancel(std::exchange(deadline_timer_, 0));
  if (const auto limit = deadline_.limit()) {
    deadline_timer_ = context_.loop.call_at(*limit, [this] { on_deadline(); });
  } else if (const auto end = deadline_.idle_end()) {
    deadline_timer_ = context_.loop.call_at(*end, [this] { on_deadline(); });
  }
}

void Job::on_deadline() {
  deadline_timer_ = 0;
  if (has_result()) return;
  if (!deadline_.is_over(Clock::now(), BootClock::now())) return watch_deadline();
  ++context_.metrics.bundles_timed_out;
  stop(time_out());
}

Error Job::time_out() const {
  std::string text = "bundle '" + name() + "' ";
  text += limit_ ? "reached its time limit of " + std::to_string(limit_->count()) + " ms"
                 : "made no progress";
  text += " in phase '" + (waits_for_client() ? std::string("send") : stage_) + "'";
  if (!path_.empty()) text += " at '" + path_ + "'";
  text += ", idle for " + seconds_text(deadline_.idle(Clock::now()));
  if (!sent_.empty())
    text += "; files that the client has not taken: " + std::to_string(sent_.size());
  return {Code::kTimedOut, 0, text};
}

// What waits here waits for the client, and so does an extension that has no credit left.
bool Job::waits_for_client() const { return !outbox_.empty() || sent_.size() >= window_; }

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
    said.rate = rate_ ? rate_->rate() : std::numeric_limits<double>::infinity();
  }
  said.files_waiting = outbox_.size();
  for (const auto& [sequence, item] : sent_) said.descriptors += item.fds.size();
  return said;
}

// Ends the bundle with `error`; the rest happens when its processes are gone.
void Job::stop(Error error) {
  if (phase_ != Phase::kRunning || aborted_ || has_result()) return;
  // The data are new already, whatever their extension still clears away.
  if (context_.kind == SessionKind::kRestore && done_ && !error_) return;
  aborted_ = true;
  error_ = std::move(error);
  if (process_.extension) {
    ++context_.metrics.extensions_killed;
    return process_.extension->kill();
  }
  forget_files();
  finish_if_done();
}

void Job::forget_files() {
  outbox_.clear();
  sent_.clear();
  refused_.clear();
}

// Nothing changes how it ends; only its hook program may still be at work, which has its own time.
bool Job::has_result() const { return exited_ && !recovery_ && outbox_.empty() && sent_.empty(); }

void Job::finish_if_done() {
  if (phase_ == Phase::kRunning && has_result() && !process_.hook) tell_end();
}

void Job::tell_end() {
  phase_ = Phase::kEnded;
  for (const auto timer : {rate_timer_, retry_timer_, deadline_timer_}) context_.loop.cancel(timer);
  for (const auto request : publishing_) {
    const Error over{Code::kExtensionDied, 0, "bundle '" + name() + "' has ended"};
    context_.tell(reply_frame(request, error_.value_or(over)));
  }
  publishing_.clear();
  context_.tell(FrameBuilder(FrameType::kBundleEnd).text(name()).error(error_).build());
  context_.metrics.count_end(error_);
  log_end();
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
