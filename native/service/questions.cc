#include "native/service/questions.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "native/service/attachments.h"
#include "native/service/survey.h"

namespace backupkit {
namespace {

constexpr std::ptrdiff_t kMaxInquiries = 16;  // of one client

}  // namespace

Questions::Questions(Loop& loop, BorrowedFd root, const ServiceSettings& settings,
                     std::function<bool(const std::string&)> is_running,
                     std::set<std::string>* stuck)
    : loop_(loop),
      root_(root),
      settings_(settings),
      is_running_(std::move(is_running)),
      stuck_(stuck) {}

bool Questions::ask_capabilities(Caller& asker, uint32_t request, const Frame& frame,
                                 ByteReader& reader) {
  const auto with_sizes = reader.get<uint8_t>();
  if (!reader.done() || with_sizes > 1) return false;
  SurveyScope scope{.sizing = with_sizes != 0 ? Sizing::kCount : Sizing::kNone};
  survey({.asker = &asker, .request = request}, frame, std::move(scope),
         [&asker, request](Answer said) { asker.reply_file(request, std::move(said.file)); });
  return true;
}

bool Questions::ask_data_size(Caller& asker, uint32_t request, const Frame& frame,
                              ByteReader& reader) {
  const auto precise = reader.get<uint8_t>();
  if (!reader.done() || precise > 1 || !has_descriptors(frame)) return false;
  stop_sizing(asker, "a new request for the size of bundles has replaced this one");
  SurveyScope scope{.sizing = precise != 0 ? Sizing::kCount : Sizing::kEstimate, .reports = true};
  survey({.asker = &asker, .request = request, .is_of_sizes = true}, frame, std::move(scope),
         [&asker, request](const Answer&) { asker.reply(request, {}); });
  return true;
}

bool Questions::ask_app(Caller& asker, uint32_t request, const Frame& frame, ByteReader& reader) {
  const auto call = reader.get<uint8_t>();
  const auto bundle = reader.get_text(kMaxNameText);
  if (!reader.done() || call > static_cast<uint8_t>(AppCall::kCleanTemp)) return false;
  if (!has_descriptors(frame)) return false;
  if (call == static_cast<uint8_t>(AppCall::kCleanTemp) && is_running_(bundle)) {
    asker.reply_text(request, "false");  // it is in use
    return true;
  }
  auto bytes = sealed_in(frame, 0, "the argument");
  if (!bytes) {
    asker.reply(request, failure(bytes.error()));
    return true;
  }
  const auto start = [&] {
    return Inquiry::app_call(loop_, root_, bundle, static_cast<AppCall>(call),
                             {bytes->begin(), bytes->end()}, stuck_);
  };
  ask({.asker = &asker, .request = request}, start,
      [&asker, request](const Answer& said) { asker.reply_text(request, said.text); });
  return true;
}

void Questions::stop_sizing(Caller& asker, const std::string& why) {
  const auto sizing = std::ranges::find_if(questions_, [&asker](const auto& entry) {
    const Question& question = entry.second;
    return question.asker == &asker && question.is_of_sizes && !question.is_answered;
  });
  if (sizing == questions_.end()) return;
  const auto request = sizing->second.request;
  questions_.erase(sizing);
  asker.reply(request, failure(Code::kCancelled, why));
}

void Questions::forget(const Caller& asker) {
  // NOLINTNEXTLINE(misc-include-cleaner): it is that of <map>
  std::erase_if(questions_, [&asker](const auto& entry) { return entry.second.asker == &asker; });
}

// Has the bundles looked at that the frame names.
void Questions::survey(Question question, const Frame& frame, SurveyScope scope, Tell tell) {
  Caller& asker = *question.asker;
  auto times = times_in(frame);
  if (!times) return asker.reply(question.request, failure(times.error()));
  scope.times = std::move(*times);
  const auto report = [&asker](const std::string& text) {
    asker.peer->say(FrameBuilder(FrameType::kSizeReport).text(text).build());
  };
  const auto start = [&] { return Inquiry::survey(loop_, root_, settings_, scope, report); };
  ask(std::move(question), start, std::move(tell));
}

// Keeps the inquiry until its processes are gone, and gives a good answer to `tell`.
void Questions::ask(Question question, const Start& start, Tell tell) {
  Caller& asker = *question.asker;
  if (has_too_many(asker)) {
    const Error full{
        Code::kOutOfMemory, 0,
        std::to_string(kMaxInquiries) + " questions of this connection have no answer yet"};
    return asker.reply(question.request, failure(full));
  }
  auto inquiry = start();
  if (!inquiry) return asker.reply(question.request, failure(inquiry.error()));
  const auto id = ++last_;
  (*inquiry)->then([this, id, tell = std::move(tell)](Result<Answer> result) {
    answer(id, tell, std::move(result));
  });
  question.inquiry = std::move(*inquiry);
  questions_[id] = std::move(question);
}

void Questions::answer(uint64_t id, const Tell& tell, Result<Answer> result) {
  // Later: the inquiry is still on the stack.
  (void)loop_.call_at(Loop::Clock::now(), [this, id] { questions_.erase(id); });
  Question& question = questions_.at(id);
  question.is_answered = true;
  if (!result) return question.asker->reply(question.request, failure(result.error()));
  tell(std::move(*result));
}

bool Questions::has_too_many(const Caller& asker) const {
  return std::ranges::count_if(questions_, [&asker](const auto& entry) {
           return entry.second.asker == &asker && !entry.second.is_answered;
         }) >= kMaxInquiries;
}

}  // namespace backupkit
