#include "native/service/session.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/service/dependencies.h"

namespace backupkit {
namespace {

constexpr auto kLongestOpening = std::chrono::seconds(2);
constexpr size_t kMaxJobs = size_t{1} << 17;  // some KiB each

Error not_appended(const std::string& bundle) {
  return {Code::kInvalidArgument, 0, "bundle '" + bundle + "' was not appended"};
}

}  // namespace

Session::Session(SessionKind kind, BorrowedFd root, const ServiceSettings& settings, Loop& loop,
                 Metrics& metrics, uint32_t window, Hooks hooks)
    : kind_(kind),
      window_(window),
      hooks_(std::move(hooks)),
      context_{.kind = kind,
               .root = root,
               .settings = settings,
               .loop = loop,
               .metrics = metrics,
               .tell = [this](Frame frame) { tell(std::move(frame)); },
               .is_heard = [this] { return hooks_.is_heard(); },
               .opened = [this] { begin_opened(); },
               .ended = [this](Job& job) { on_end(job); }} {}

Session::~Session() {
  context_.loop.cancel(next_turn_);
  context_.loop.cancel(patience_);
}

// Whether the bundles may be appended now.
Result<void> Session::check(const std::vector<BundleRequest>& requests) const {
  if (kind_ != SessionKind::kIncremental && !jobs_.empty()) {
    return failure(Code::kNotPermitted, "appendBundles was called before");
  }
  if (requests.empty()) return failure(Code::kInvalidArgument, "the list of bundles is empty");
  for (const auto& request : requests) {
    if (!is_bundle_name(request.name)) {
      return failure(Code::kInvalidArgument, "'" + request.name + "' is not a bundle name");
    }
  }
  if (jobs_.size() + requests.size() > kMaxJobs) {
    return failure(Code::kOutOfMemory,
                   "a session has at most " + std::to_string(kMaxJobs) + " bundles");
  }
  return {};
}

Result<void> Session::append(std::vector<BundleRequest> requests, std::string_view capabilities) {
  if (auto good = check(requests); !good) return good;
  Origins origins;
  if (kind_ == SessionKind::kRestore) {
    auto read = read_origins(capabilities);
    if (!read) return failure(read.error());
    origins = std::move(*read);
  }
  auto jobs = make_jobs(std::move(requests), origins);
  if (kind_ == SessionKind::kRestore) {
    if (auto good = check_dependencies(jobs); !good) return good;
  }
  add(std::move(jobs));
  return {};
}

// One for each name.
std::vector<std::unique_ptr<Job>> Session::make_jobs(std::vector<BundleRequest> requests,
                                                     const Origins& origins) {
  std::vector<std::unique_ptr<Job>> jobs;
  std::set<std::string> seen;
  for (auto& request : requests) {
    if (!seen.insert(request.name).second) continue;
    const size_t index = jobs_.size() + jobs.size();
    jobs.push_back(std::make_unique<Job>(context_, std::move(request), index, unfinished_.size()));
    admit(*jobs.back(), origins);
  }
  return jobs;
}

Result<void> Session::check_dependencies(const std::vector<std::unique_ptr<Job>>& jobs) {
  Dependencies dependencies;
  for (const auto& job : jobs) {
    if (!job->is_refused()) dependencies[job->name()] = job->bundle().restore_deps;
  }
  const auto circle = circle_in(dependencies);
  if (circle.empty()) return {};
  return failure(Code::kInvalidArgument, "restoreDeps lead in a circle: " + circle);
}

void Session::add(std::vector<std::unique_ptr<Job>> jobs) {
  unfinished_.push_back(jobs.size());
  for (auto& job : jobs) {
    named_[job->name()].push_back(job->index());
    waiting_.emplace(-int64_t{job->request().priority}, job->index());
    if (job->is_refused()) ++refused_;
    jobs_.push_back(std::move(job));
  }
  schedule_later();
}

// The Reply goes first: the caller hears that the call succeeded before anything begins.
void Session::schedule_later() {
  if (next_turn_ != 0) return;
  next_turn_ = context_.loop.call_at(Loop::Clock::now(), [this] {
    next_turn_ = 0;
    schedule();
  });
}

void Session::admit(Job& job, const Origins& origins) {
  const auto& name = job.name();
  auto bundle = read_bundle(context_.root, name);
  if (!bundle) return job.refuse(bundle.error());
  if (!bundle->allowed) {
    return job.refuse({Code::kNotAdded, 0, "bundle '" + name + "' has allowToBackupRestore false"});
  }
  Origin origin{bundle->version_code, bundle->version_name, 0};
  if (kind_ == SessionKind::kRestore) {
    const auto& source = job.request().source.empty() ? name : job.request().source;
    const auto found = origins.find(source);
    if (found == origins.end()) {
      return job.refuse(
          {Code::kNotAdded, 0, "bundle '" + source + "' is not in the capability file"});
    }
    origin = found->second;
  }
  job.admit(std::move(*bundle), std::move(origin));
}

// Begins what may begin now; one that is refused needs no place.
void Session::schedule() {
  for (auto next = waiting_.begin(); next != waiting_.end() && !released_ && hooks_.is_heard();) {
    const bool is_full = running_.size() >= context_.settings.max_extensions;
    if (is_full && refused_ == 0) break;
    const size_t index = next->second;
    Job& job = *jobs_[index];
    const bool is_refused = job.is_refused();
    if (!is_refused && (is_full || has_to_wait(job))) {
      ++next;
      continue;
    }
    const auto window = share();
    next = waiting_.erase(next);
    if (is_refused) --refused_;
    job.start(window);
    if (job.is_running()) {
      running_[job.name()] = index;
      opening_.push_back({index, Loop::Clock::now() + kLongestOpening});
    } else {
      ++counts_.refused;
      leave_batch(job);
      schedule_later();  // for those before it that wait for it
    }
  }
}

// Bundles begin in the order of their starts; but one whose file system does not answer holds up
// the others for a short time only.
void Session::begin_opened() {
  context_.loop.cancel(std::exchange(patience_, 0));
  const auto now = Loop::Clock::now();
  const auto has_turn = [&](const Opening& opening) {
    return jobs_[opening.index]->has_opened() || now < opening.late;
  };
  auto next = std::ranges::find_if(opening_, has_turn);
  while (next != opening_.end() && jobs_[next->index]->has_opened()) {
    Job& job = *jobs_[next->index];
    opening_.erase(next);
    job.begin();
    next = std::ranges::find_if(opening_, has_turn);
  }
  if (next == opening_.end()) return;
  patience_ = context_.loop.call_at(next->late, [this] { begin_opened(); });
}

// How many files the next bundle may have under way: of what the client takes at a time the part of
// each that could run beside it. A bundle that is alone has all; those that are appended later have
// their parts all the same, which the client has to spare (affordable_window()).
uint32_t Session::share() const {
  const auto bundles = running_.size() + waiting_.size() - refused_;
  const auto beside = std::clamp<size_t>(bundles, 1, context_.settings.max_extensions);
  return std::max(1U, window_ / static_cast<uint32_t>(beside));
}

bool Session::has_to_wait(const Job& job) const {
  if (running_.contains(job.name())) return true;
  if (kind_ != SessionKind::kRestore) return false;
  return std::ranges::any_of(job.bundle().restore_deps, [&](const std::string& name) {
    const auto named = named_.find(name);
    if (named == named_.end()) return false;
    const Job& other = *jobs_[named->second.front()];
    return other.is_running() || (other.is_waiting() && !other.is_refused());
  });
}

void Session::on_end(Job& job) {
  std::erase_if(opening_, [&](const Opening& opening) { return opening.index == job.index(); });
  begin_opened();
  if (job.has_begun()) {
    ++counts_.ended;
    if (job.has_failed()) ++counts_.failed;
  } else {
    ++counts_.refused;
  }
  running_.erase(job.name());
  leave_batch(job);
  schedule();
  end_if_released();
}

void Session::leave_batch(const Job& job) {
  if (--unfinished_[job.batch()] > 0) return;
  tell(FrameBuilder(FrameType::kAllEnd).error(std::nullopt).build());
}

void Session::end_if_released() {
  if (!released_ || ended_ || !running_.empty()) return;
  ended_ = true;
  hooks_.ended();
}

Result<void> Session::file_handle(const std::string& bundle, const std::string& uri) {
  Job* job = find(bundle);
  if (job == nullptr) return failure(not_appended(bundle));
  return job->file_handle(uri);
}

Result<void> Session::publish(uint32_t request, const std::string& bundle, const std::string& uri,
                              UniqueFd content) {
  Job* job = find(bundle);
  if (job == nullptr) return failure(not_appended(bundle));
  return job->publish(request, uri, std::move(content));
}

void Session::settle(uint64_t sequence, Outcome outcome) {
  const auto index = sequence >> Delivery::kSequenceBits;
  if (index >= jobs_.size()) return;
  jobs_[static_cast<size_t>(index)]->settle(
      sequence & ((uint64_t{1} << Delivery::kSequenceBits) - 1), outcome);
}

bool Session::update_timer(const std::string& bundle, std::chrono::milliseconds limit) {
  Job* job = find(bundle);
  return job != nullptr && job->update_timer(limit);
}

bool Session::update_rate(const std::string& bundle, uint32_t files_per_second) {
  Job* job = find(bundle);
  return job != nullptr && job->update_rate(files_per_second);
}

std::optional<Code> Session::cancel(const std::string& bundle) {
  if (is_running(bundle)) {
    if (!find(bundle)->has_begun()) {
      find(bundle)->drop();
      return Code::kCancelNotBegun;
    }
    const Error error{Code::kCancelled, 0, "bundle '" + bundle + "' was cancelled"};
    if (find(bundle)->cancel(error)) return std::nullopt;
    return Code::kCancelNotFound;
  }
  const auto named = named_.find(bundle);
  if (named == named_.end()) return Code::kCancelNotFound;
  bool any = false;
  for (const auto index : named->second) {
    if (!jobs_[index]->is_waiting()) continue;
    take_out(*jobs_[index]);
    any = true;
  }
  return any ? Code::kCancelNotBegun : Code::kCancelNotFound;
}

void Session::take_out(Job& job) {
  waiting_.erase({-int64_t{job.request().priority}, job.index()});
  if (job.is_refused()) --refused_;
  job.drop();
  leave_batch(job);
  schedule_later();  // for those that wait for it
}

void Session::release() {
  if (released_) return;
  released_ = true;
  const Error error{Code::kCancelled, 0, "the session was released"};
  const auto running = running_;  // one that ends at once leaves it
  for (const auto& [name, index] : running) {
    if (!jobs_[index]->has_begun()) {
      jobs_[index]->drop();
      continue;
    }
    (void)jobs_[index]->cancel(error);  // one that is committing ends by itself
    jobs_[index]->abandon();
  }
  end_if_released();
}

std::vector<RunningBundle> Session::running() const {
  std::vector<RunningBundle> all;
  all.reserve(running_.size());
  for (const auto& [name, index] : running_) all.push_back(jobs_[index]->watched());
  return all;
}

void Session::tell(Frame frame) {
  if (!released_) hooks_.tell(std::move(frame));
}

// The job of that name which runs, else the one appended last.
Job* Session::find(const std::string& bundle) {
  if (const auto found = running_.find(bundle); found != running_.end()) {
    return jobs_[found->second].get();
  }
  const auto named = named_.find(bundle);
  return named == named_.end() ? nullptr : jobs_[named->second.back()].get();
}

}  // namespace backupkit
