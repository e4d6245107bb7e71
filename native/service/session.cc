#include "native/service/session.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "native/base/syscall.h"
#include "native/io/tmpfile.h"

namespace backupkit {
namespace {

using nlohmann::json;

constexpr uint32_t kWindow = 64;        // files under way per client
constexpr unsigned kSequenceBits = 40;  // a file's number; above them its bundle's
constexpr size_t kMaxHandles = 1'000'000;

// The names in a capability file. An entry that lacks what is needed is left out, not the list.
Result<std::set<std::string>> names_in(std::string_view capabilities) {
  const auto file = json::parse(capabilities, nullptr, false);
  if (!file.is_object() || !file.contains("bundleInfos") || !file["bundleInfos"].is_array()) {
    return failure(
        Code::kInvalidArgument,
        "the capability file is not JSON with bundleInfos; getLocalCapabilities makes one");
  }
  std::set<std::string> names;
  for (const auto& info : file["bundleInfos"]) {
    if (info.is_object() && info.contains("name") && info["name"].is_string()) {
      names.insert(info["name"].get<std::string>());
    }
  }
  return names;
}

}  // namespace

enum class Phase { kWaiting, kRunning, kEnded };

struct Session::Job {
  Job(BundleRequest wanted, size_t place) : request(std::move(wanted)), index(place) {}

  BundleRequest request;
  size_t index;
  Bundle bundle;
  Phase phase = Phase::kWaiting;
  Child child;
  std::optional<Channel> channel;
  uint32_t in_flight = 0;           // credit given and not yet taken
  std::deque<std::string> handles;  // asked for and not yet forwarded
  std::set<uint32_t> publishing;    // requests the extension has not answered
  std::set<uint32_t> completing;    // those of them with uri ""
  bool published = false;
  bool done = false;
  std::optional<Error> error;
};

Session::Session(SessionKind kind, BorrowedFd root, const ServiceSettings& settings, Loop& loop,
                 Hooks hooks)
    : kind_(kind),
      root_(root),
      settings_(settings),
      loop_(loop),
      hooks_(std::move(hooks)),
      window_(std::max(1U, kWindow / static_cast<uint32_t>(settings.max_extensions))) {}

Session::~Session() {
  loop_.cancel(first_turn_);
  for (auto& job : jobs_) {
    if (job->phase != Phase::kRunning) continue;
    if (job->channel) loop_.forget(job->channel->socket());
    loop_.forget(job->child.pidfd.borrow());
  }
}

Result<void> Session::append(std::vector<BundleRequest> requests, std::string_view capabilities) {
  if (appended_) return failure(Code::kNotPermitted, "appendBundles was called before");
  if (requests.empty()) return failure(Code::kInvalidArgument, "the list of bundles is empty");
  for (const auto& request : requests) {
    if (!is_bundle_name(request.name)) {
      return failure(Code::kInvalidArgument, "'" + request.name + "' is not a bundle name");
    }
  }
  std::optional<std::set<std::string>> known;
  if (kind_ == SessionKind::kRestore) {
    auto names = names_in(capabilities);
    if (!names) return failure(names.error());
    known = std::move(*names);
  }
  appended_ = true;
  std::ranges::stable_sort(requests, std::greater<>{}, &BundleRequest::priority);
  for (auto& request : requests) {
    if (find(request.name) == nullptr) {
      jobs_.push_back(std::make_unique<Job>(std::move(request), jobs_.size()));
    }
  }
  for (auto& job : jobs_) {
    auto bundle = read_bundle(root_, job->request.name);
    const auto& name = job->request.name;
    if (!bundle) {
      job->error = bundle.error();
    } else if (!bundle->allowed) {
      job->error =
          Error{Code::kNotAdded, 0, "bundle '" + name + "' has allowToBackupRestore false"};
    } else if (known && !known->contains(name)) {
      job->error = Error{Code::kNotAdded, 0, "bundle '" + name + "' is not in the capability file"};
    } else {
      job->bundle = std::move(*bundle);
    }
  }
  // The Reply goes first: the caller hears that the call succeeded before anything begins.
  first_turn_ = loop_.call_at(std::chrono::steady_clock::now(), [this] { schedule(); });
  return {};
}

void Session::schedule() {
  if (released_) return;
  for (auto& job : jobs_) {
    if (job->phase != Phase::kWaiting || (running_ >= settings_.max_extensions && !job->error)) {
      continue;
    }
    start(*job);
  }
  check_end();
}

void Session::start(Job& job) {
  if (!job.error) {
    if (auto launched = launch(job); !launched) {
      job.error = launched.error();
      if (job.error->code != Code::kNotPermitted) job.error->code = Code::kExtensionStartFailed;
    }
  }
  tell(FrameBuilder(FrameType::kBundleBegin).text(job.request.name).error(job.error).build());
  if (job.error) {
    job.phase = Phase::kEnded;
    return;
  }
  job.phase = Phase::kRunning;
  ++running_;
  if (kind_ == SessionKind::kRestore) {
    forward_handles(job);
  } else {
    grant(job, window_);
  }
}

Result<UniqueFd> Session::settings_of(const Job& job) const {
  json text = {{"name", job.request.name},
               {"excludes", job.bundle.excludes},
               {"packingLimit", settings_.packing_limit}};
  if (job.bundle.includes) text["includes"] = *job.bundle.includes;
  const auto info = json::parse(job.request.info, nullptr, false, true);
  if (info.is_object() && info.contains("integrity")) text["integrity"] = info["integrity"];
  const std::string bytes = text.dump(-1, ' ', false, json::error_handler_t::replace);
  return sealed_memfd("settings",
                      std::span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
}

Result<void> Session::launch(Job& job) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  UniqueFd sandbox(
      retry([&] { return ::openat(root_.get(), job.bundle.sandbox.c_str(), kFlags); }));
  if (!sandbox.is_open()) return errno_failure("sandbox '" + job.bundle.sandbox + "'");
  struct stat owner{};
  if (::fstat(sandbox.get(), &owner) != 0) return errno_failure(job.bundle.sandbox);
  const uid_t uid = job.bundle.uid.value_or(owner.st_uid);
  const gid_t gid = job.bundle.gid.value_or(owner.st_gid);
  std::vector<std::string> arguments = {"--extension"};
  if (::geteuid() == 0) {
    arguments.push_back(std::to_string(uid));
    arguments.push_back(std::to_string(gid));
  } else if (uid != ::geteuid()) {
    return failure(Code::kNotPermitted, "bundle '" + job.request.name + "' belongs to uid " +
                                            std::to_string(uid) +
                                            "; only a service that runs as root can serve it");
  }
  auto text = settings_of(job);
  if (!text) return failure(text.error());
  auto pair = seqpacket_pair();
  if (!pair) return failure(pair.error());
  auto child = spawn("/proc/self/exe", arguments, pair->second.borrow());
  if (!child) return failure(child.error());
  job.child = std::move(*child);
  job.channel.emplace(std::move(pair->first));
  const auto give_up = [&](const Error& error) {
    kill_child(job.child);
    (void)reap(job.child);  // it was ours and is gone either way
    job.channel.reset();
    return failure(error);
  };
  if (auto set = set_nonblocking(job.channel->socket(), true); !set) return give_up(set.error());
  auto watched =
      loop_.watch(job.child.pidfd.borrow(), EPOLLIN, [this, &job](uint32_t) { on_exit(job); });
  if (!watched) return give_up(watched.error());
  watched =
      loop_.watch(job.channel->socket(), EPOLLIN, [this, &job](uint32_t) { on_channel(job); });
  if (!watched) {
    loop_.forget(job.child.pidfd.borrow());
    return give_up(watched.error());
  }
  send(job, FrameBuilder(FrameType::kStart)
                .number(static_cast<uint8_t>(kind_))
                .fd(std::move(sandbox))
                .fd(std::move(*text))
                .build());
  return {};
}

void Session::on_channel(Job& job) {
  if (job.channel->has_queued()) {
    auto flushed = job.channel->flush();
    if (flushed && *flushed) (void)loop_.change(job.channel->socket(), EPOLLIN);
  }
  drain(job);
}

// Takes what the extension has sent.
void Session::drain(Job& job) {
  while (job.channel) {
    auto arrival = job.channel->receive();
    if (arrival && arrival->receipt == Receipt::kWouldBlock) return;
    if (!arrival || arrival->receipt == Receipt::kEnd) {
      if (!arrival) stop(job, arrival.error().in("what the extension sent"));
      loop_.forget(job.channel->socket());
      job.channel.reset();
      return;
    }
    for (auto& frame : arrival->frames) on_frame(job, std::move(frame));
  }
}

void Session::on_frame(Job& job, Frame frame) {
  ByteReader reader(frame.body);
  const auto& name = job.request.name;
  switch (frame.type) {
    case FrameType::kFile: {
      const auto sequence = reader.get<uint64_t>();
      const auto uri = reader.get_text(kMaxNameText);
      const auto error = read_error(reader);
      FrameBuilder ready(FrameType::kFileReady);
      ready.number((uint64_t{job.index} << kSequenceBits) | sequence);
      ready.text(name).text(uri).error(error);
      for (auto& fd : frame.fds) ready.fd(std::move(fd));
      if (reader.done()) return tell(ready.build());
      break;
    }
    case FrameType::kPublished: {
      const auto request = reader.get<uint32_t>();
      const auto error = read_error(reader);
      if (!reader.done() || job.publishing.erase(request) == 0) break;
      if (job.completing.erase(request) != 0 && !error) job.published = true;
      return tell(FrameBuilder(FrameType::kReply).number(request).error(error).text("").build());
    }
    case FrameType::kReport:
      return tell(FrameBuilder(FrameType::kResultReport)
                      .text(name)
                      .text(reader.get_text(kMaxText))
                      .build());
    case FrameType::kProgress:
      return tell(
          FrameBuilder(FrameType::kProcess).text(name).text(reader.get_text(kMaxText)).build());
    case FrameType::kDone:
      job.done = true;
      if (auto error = read_error(reader); error && !job.error) job.error = std::move(error);
      return;
    default:
      break;
  }
  stop(job, Error{Code::kIpc, 0, "the extension of '" + name + "' sent a malformed frame"});
}

void Session::on_exit(Job& job) {
  drain(job);
  loop_.forget(job.child.pidfd.borrow());
  if (job.channel) loop_.forget(job.channel->socket());
  job.channel.reset();
  auto status = reap(job.child);
  if (!job.done && !job.error) {
    const std::string how = status ? std::to_string(*status) : status.error().message();
    job.error = Error{Code::kExtensionDied, 0,
                      "the extension of '" + job.request.name + "' died (status " + how + ")"};
  }
  end(job);
}

void Session::end(Job& job) {
  job.phase = Phase::kEnded;
  --running_;
  for (const auto request : job.publishing) {
    const Error error{Code::kExtensionDied, 0, "bundle '" + job.request.name + "' has ended"};
    tell(FrameBuilder(FrameType::kReply).number(request).error(error).text("").build());
  }
  job.publishing.clear();
  tell(FrameBuilder(FrameType::kBundleEnd).text(job.request.name).error(job.error).build());
  if (released_) return check_end();
  schedule();
}

void Session::check_end() {
  const bool idle = running_ == 0;
  if (released_) {
    if (idle) hooks_.ended();
    return;
  }
  const auto has_ended = [](const auto& job) { return job->phase == Phase::kEnded; };
  if (all_ended_ || !std::ranges::all_of(jobs_, has_ended)) return;
  all_ended_ = true;
  tell(FrameBuilder(FrameType::kAllEnd).error(std::nullopt).build());
}

// Ends the bundle with `error`; the rest happens when its process is gone.
void Session::stop(Job& job, Error error) {
  if (!job.error) job.error = std::move(error);
  kill_child(job.child);
}

void Session::send(Job& job, Frame frame) {
  if (!job.channel) return;
  auto queued = job.channel->queue(std::move(frame));
  if (!queued) {
    // A closed channel is followed by the exit, which says how the extension ended.
    if (queued.error().code != Code::kClosed) stop(job, queued.error());
    return;
  }
  if (job.channel->has_queued()) {
    (void)loop_.change(job.channel->socket(), EPOLLIN | EPOLLOUT);
  }
}

void Session::grant(Job& job, uint32_t files) {
  job.in_flight += files;
  send(job, FrameBuilder(FrameType::kCredit).number(files).build());
}

void Session::forward_handles(Job& job) {
  while (!job.handles.empty() && job.in_flight < window_) {
    grant(job, 1);
    send(job, FrameBuilder(FrameType::kHandle).text(job.handles.front()).build());
    job.handles.pop_front();
  }
}

Result<void> Session::file_handle(const std::string& bundle, const std::string& uri) {
  Job* job = find(bundle);
  if (job == nullptr) {
    return failure(Code::kInvalidArgument, "bundle '" + bundle + "' was not appended");
  }
  if (job->phase == Phase::kEnded || job->published || !job->completing.empty()) {
    return failure(Code::kNotPermitted, "bundle '" + bundle + "' is published already");
  }
  if (job->handles.size() >= kMaxHandles) return failure(Code::kOutOfMemory, "too many handles");
  job->handles.push_back(uri);
  if (job->phase == Phase::kRunning) forward_handles(*job);
  return {};
}

Result<void> Session::publish(uint32_t request, const std::string& bundle, const std::string& uri) {
  Job* job = find(bundle);
  if (job == nullptr) {
    return failure(Code::kInvalidArgument, "bundle '" + bundle + "' was not appended");
  }
  if (job->phase != Phase::kRunning || job->published || !job->completing.empty()) {
    return failure(Code::kNotPermitted, "bundle '" + bundle + "' takes no files now");
  }
  job->publishing.insert(request);
  if (uri.empty()) job->completing.insert(request);
  send(*job, FrameBuilder(FrameType::kPublishFile).number(request).text(uri).build());
  return {};
}

void Session::settle(uint64_t sequence, Outcome outcome) {
  const auto index = sequence >> kSequenceBits;
  if (index >= jobs_.size()) return;
  Job& job = *jobs_[index];
  if (job.phase != Phase::kRunning) return;
  const auto own = sequence & ((uint64_t{1} << kSequenceBits) - 1);
  if (outcome == Outcome::kClosed) {
    send(job, FrameBuilder(FrameType::kSettled)
                  .number(own)
                  .number(static_cast<uint8_t>(outcome))
                  .build());
    return;
  }
  if (job.in_flight == 0) return;  // more answers than files: nothing to give back
  --job.in_flight;
  if (kind_ == SessionKind::kRestore) {
    forward_handles(job);
  } else {
    grant(job, 1);
  }
}

void Session::release() {
  if (released_) return;
  released_ = true;
  for (auto& job : jobs_) {
    if (job->phase != Phase::kRunning || job->published || !job->completing.empty()) continue;
    stop(*job, Error{Code::kCancelled, 0, "the session was released"});
  }
  check_end();
}

void Session::tell(Frame frame) {
  if (!released_) hooks_.tell(std::move(frame));
}

Session::Job* Session::find(const std::string& bundle) {
  const auto found = std::ranges::find(
      jobs_, bundle, [](const auto& job) -> const std::string& { return job->request.name; });
  return found == jobs_.end() ? nullptr : found->get();
}

}  // namespace backupkit
