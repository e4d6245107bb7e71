#include "native/service/server.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/base/log.h"
#include "native/io/tmpfile.h"
#include "native/service/attachments.h"
#include "native/service/survey.h"

namespace backupkit {
namespace {

constexpr std::ptrdiff_t kMaxStrangers = 64;
constexpr std::ptrdiff_t kMaxCallers = 64;  // connections of one user
constexpr size_t kMaxInquiries = 16;        // of one client
// Nothing tells when there is a descriptor for one more client.
constexpr auto kAcceptAgain = std::chrono::milliseconds(20);

// By their numbers.
constexpr std::array<std::string_view, 16> kRequests = {
    "",           "Hello",   "Capabilities", "OpenSession", "Append",  "FileHandle",
    "Publish",    "Release", "Settle",       "Version",     "AppCall", "UpdateTimer",
    "UpdateRate", "Cancel",  "DataSize",     "Metrics"};

Error no_session() {
  return {Code::kNotPermitted, 0, "there is no open session on this connection"};
}

}  // namespace

// An Append as far as its parts have come.
struct Server::Pending {
  uint32_t request = 0;
  bool refused = false;  // it was answered already; what still comes of it counts for nothing
  size_t bytes = 0;      // of the lists
  std::vector<BundleRequest> list{};
  std::string capabilities{};
};

struct Server::Client {
  ClientId id = 0;
  std::unique_ptr<Peer> peer;
  PeerCredentials credentials{};
  bool trusted = false;
  bool greeted = false;
  bool refused = false;  // and the log says so
  uint32_t window = kMaxWindow;
  std::optional<Error> refusal;  // what every call of it is answered with
  Pending append;
  size_t inquiries = 0;
  std::optional<std::pair<uint64_t, uint32_t>> sizing;  // the inquiry and its request

  [[nodiscard]] std::string name() const {
    return "process " + std::to_string(credentials.pid) + " (uid " +
           std::to_string(credentials.uid) + ")";
  }
};

Server::Server(Loop& loop, BorrowedFd root, ServiceSettings settings, std::function<void()> idle)
    : loop_(loop), root_(root), settings_(std::move(settings)), idle_(std::move(idle)) {}

Server::~Server() { close_listener(); }

Result<void> Server::listen(UniqueFd listener) {
  listener_ = std::move(listener);
  return watch_listener();
}

Result<void> Server::watch_listener() {
  return loop_.watch(listener_.borrow(), EPOLLIN, [this](uint32_t) { on_listener(); });
}

void Server::close_listener() {
  loop_.cancel(accept_timer_);
  if (!listener_.is_open()) return;
  loop_.forget(listener_.borrow());
  listener_.reset();
}

void Server::on_listener() {
  auto socket = accept_seqpacket(listener_.borrow());
  if (!socket) {
    if (!std::exchange(turns_away_, true)) {
      log_failure(LogLevel::kWarning, "taking of a connection", socket.error());
    }
    // It stays ready as long as somebody waits: watching it would not let the loop rest.
    loop_.forget(listener_.borrow());
    accept_timer_ = loop_.call_at(Loop::Clock::now() + kAcceptAgain, [this] {
      (void)watch_listener();  // it was watched before: that needs no more than there was
    });
    return;
  }
  turns_away_ = false;
  if (!socket->is_open()) return;  // it went away again
  make_room();
  if (auto adopted = adopt(std::move(*socket), false); !adopted) {
    log_failure(LogLevel::kWarning, "taking of a connection", adopted.error());
  }
}

// Whoever connects could otherwise fill the log.
LogLevel Server::stranger_level() {
  return strangers_told_.take(Loop::Clock::now()) ? LogLevel::kWarning : LogLevel::kDebug;
}

// Whoever connects could otherwise keep all others out: the oldest stranger gives way.
void Server::make_room() {
  const auto is_stranger = [this](const auto& entry) {
    const Client& client = *entry.second;
    return &client != holder_ && (!client.greeted || client.refusal);
  };
  if (std::ranges::count_if(clients_, is_stranger) < kMaxStrangers) return;
  log_line(stranger_level(), std::to_string(kMaxStrangers) +
                                 " connections have not greeted or may not call: the oldest gives "
                                 "way");
  drop(std::ranges::find_if(clients_, is_stranger)->first);
}

Result<void> Server::adopt(UniqueFd socket, bool trusted) {
  auto client = std::make_unique<Client>();
  auto credentials = peer_credentials(socket.borrow());
  if (!credentials) return failure(credentials.error());
  ++metrics_.connections_accepted;
  client->id = ++last_client_;
  client->credentials = *credentials;
  client->trusted = trusted;
  if (!trusted) client->refusal = settings_.refusal(credentials->uid);
  Peer::Handlers handlers;
  handlers.frame = [this, kept = client.get()](Frame frame) { on_frame(*kept, std::move(frame)); };
  handlers.end = [this, id = client->id](const std::optional<Error>& error) {
    return error ? lose(id, *error) : drop(id);
  };
  handlers.drained = [this, kept = client.get()] {
    if (session_ && holder_ == kept) session_->resume();
  };
  auto peer = Peer::make(loop_, std::move(socket), std::move(handlers));
  if (!peer) return failure(peer.error());
  client->peer = std::move(*peer);
  log_line(LogLevel::kDebug, client->name() + " is connected");
  clients_[client->id] = std::move(client);
  return {};
}

void Server::configure(ServiceSettings settings) {
  settings_ = std::move(settings);
  for (auto& [id, client] : clients_) {
    if (!client->trusted) client->refusal = settings_.refusal(client->credentials.uid);
  }
}

void Server::on_frame(Client& client, Frame frame) {
  const auto id = client.id;
  ByteReader reader(frame.body);
  if (take_frame(client, frame, reader)) return;
  // A frame that breaks the grammar ends the conversation.
  lose(id, Error{Code::kIpc, 0,
                 "its frame of type " + std::to_string(static_cast<uint16_t>(frame.type)) + " " +
                     wrong_with(reader)});
}

bool Server::take_frame(Client& client, Frame& frame, ByteReader& reader) {
  if (frame.type == FrameType::kHello) return greet(client, reader);
  if (!client.greeted) return false;
  if (frame.type == FrameType::kSettle) return settle(client, reader);
  const auto request = reader.get<uint32_t>();
  if (!reader.ok()) return false;
  // Whose rights were taken meanwhile may still let go of its session.
  if (client.refusal && frame.type != FrameType::kRelease) {
    if (client.peer->is_behind()) {
      lose(client.id, Error{Code::kOutOfMemory, 0, "it may not call, and reads no answers"});
      return true;
    }
    refuse(client, request, *client.refusal);
    return true;
  }
  return take_request(client, request, frame, reader);
}

// One who calls again and again is named once.
void Server::refuse(Client& client, uint32_t request, const Error& reason) {
  const bool is_named = std::exchange(client.refused, true);
  reply(client, request, failure(reason), is_named ? LogLevel::kDebug : LogLevel::kWarning);
}

// Whether its user has the most connections already.
bool Server::has_too_many(const Client& client) const {
  if (client.trusted || client.refusal) return false;
  return std::ranges::count_if(clients_, [&](const auto& entry) {
           return entry.second->greeted && entry.second->credentials.uid == client.credentials.uid;
         }) >= kMaxCallers;
}

bool Server::greet(Client& client, ByteReader& reader) {
  const auto version = reader.get<uint32_t>();
  const auto window = reader.get<uint32_t>();
  if (version != kWireVersion || !reader.done()) return false;
  if (!client.greeted && has_too_many(client)) {
    const auto uid = std::to_string(client.credentials.uid);
    const Error full{Code::kOutOfMemory, 0,
                     "uid " + uid + " has " + std::to_string(kMaxCallers) +
                         " connections: close those that are not needed"};
    reply(client, 0, failure(full), stranger_level());
    drop(client.id);
    return true;
  }
  client.greeted = true;
  client.window = std::clamp(window, 1U, affordable_window());
  client.peer->say(FrameBuilder(FrameType::kWelcome)
                       .number(kWireVersion)
                       .number(static_cast<int32_t>(::getpid()))
                       .build());
  return true;
}

bool Server::settle(const Client& client, ByteReader& reader) {
  const auto sequence = reader.get<uint64_t>();
  const auto outcome = reader.get<uint8_t>();
  if (!reader.done() || outcome > static_cast<uint8_t>(Outcome::kRefused)) return false;
  if (session_ && holder_ == &client) session_->settle(sequence, static_cast<Outcome>(outcome));
  return true;
}

bool Server::take_request(Client& client, uint32_t request, Frame& frame, ByteReader& reader) {
  const auto type = static_cast<size_t>(frame.type);
  const bool is_of_a_file =
      frame.type == FrameType::kFileHandle || frame.type == FrameType::kPublish;
  if (logs(LogLevel::kDebug) && type < kRequests.size() && !is_of_a_file) {
    log_line(LogLevel::kDebug, client.name() + ": " + std::string(kRequests.at(type)));
  }
  switch (frame.type) {
    case FrameType::kCapabilities:
      return on_capabilities(client, request, frame, reader);
    case FrameType::kVersion:
      reply_text(client, request, "{\"backupVersion\":\"" + std::string(kBackupVersion) + "\"}");
      return reader.done();
    case FrameType::kMetrics:
      on_metrics(client, request);
      return reader.done();
    case FrameType::kAppCall:
      return on_app_call(client, request, frame, reader);
    case FrameType::kDataSize:
      return on_data_size(client, request, frame, reader);
    case FrameType::kOpenSession: {
      const auto kind = reader.get<uint8_t>();
      if (!reader.done() || kind > static_cast<uint8_t>(SessionKind::kIncremental)) return false;
      on_open(client, request, static_cast<SessionKind>(kind));
      return true;
    }
    case FrameType::kAppend: {
      const bool more = reader.get<uint8_t>() != 0;
      return reader.done() && on_append(client, request, more, frame);
    }
    case FrameType::kRelease:
      on_release(client, request);
      return reader.done();
    case FrameType::kFileHandle:
      return on_file_handle(client, request, reader);
    case FrameType::kPublish:
      return on_publish(client, request, frame, reader);
    case FrameType::kUpdateTimer:
    case FrameType::kUpdateRate:
    case FrameType::kCancel:
      return on_update(client, request, frame.type, reader);
    default:
      return false;
  }
}

void Server::on_metrics(Client& client, uint32_t request) {
  const auto text = metrics_text(metrics_, state());
  const std::span bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  auto file = sealed_memfd("metrics", bytes);
  if (!file) return reply(client, request, failure(file.error()));
  reply_file(client, request, std::move(*file));
}

ServiceState Server::state() const {
  ServiceState state;
  const auto now = Loop::Clock::now();
  if (session_) {
    state.session = {.kind = session_->kind(), .client = holder_pid_, .age = now - since_};
    state.running = session_->running();
    state.bundles_waiting = session_->waiting();
  }
  state.connections = clients_.size();
  state.questions = inquiries_.size();
  for (const auto& [id, client] : clients_) state.frames_waiting += client->peer->waiting();
  return state;
}

bool Server::on_capabilities(Client& client, uint32_t request, const Frame& frame,
                             ByteReader& reader) {
  const auto with_sizes = reader.get<uint8_t>();
  if (!reader.done() || with_sizes > 1) return false;
  SurveyScope scope{.sizing = with_sizes != 0 ? Sizing::kCount : Sizing::kNone};
  const auto answer = [request](Client& asker, Result<Answer> file) {
    reply_file(asker, request, std::move(file->file));
  };
  (void)survey(client, request, frame, std::move(scope), answer);
  return true;
}

bool Server::on_data_size(Client& client, uint32_t request, const Frame& frame,
                          ByteReader& reader) {
  const auto precise = reader.get<uint8_t>();
  if (!reader.done() || precise > 1 || !has_descriptors(frame)) return false;
  stop_sizing(client, "a new request for the size of bundles has replaced this one");
  SurveyScope scope{.sizing = precise != 0 ? Sizing::kCount : Sizing::kEstimate, .reports = true};
  const auto answer = [this, request](Client& asker, const Result<Answer>&) {
    reply(asker, request, {});
  };
  const auto inquiry = survey(client, request, frame, std::move(scope), answer);
  if (inquiry != 0) client.sizing = {inquiry, request};
  return true;
}

void Server::stop_sizing(Client& client, const std::string& why) {
  const auto sizing = std::exchange(client.sizing, std::nullopt);
  if (!sizing || inquiries_.erase(sizing->first) == 0) return;
  --client.inquiries;
  reply(client, sizing->second, failure(Code::kCancelled, why));
}

// Has the bundles looked at that the frame names.
uint64_t Server::survey(Client& client, uint32_t request, const Frame& frame, SurveyScope scope,
                        std::function<void(Client&, Result<Answer>)> answer) {
  auto times = times_in(frame);
  if (!times) {
    reply(client, request, failure(times.error()));
    return 0;
  }
  scope.times = std::move(*times);
  const auto report = [this, id = client.id](const std::string& text) {
    const auto asker = clients_.find(id);
    if (asker == clients_.end()) return;
    asker->second->peer->say(FrameBuilder(FrameType::kSizeReport).text(text).build());
  };
  const auto start = [&] { return Inquiry::survey(loop_, root_, settings_, scope, report); };
  return inquire(client, start, std::move(answer), request);
}

bool Server::on_app_call(Client& client, uint32_t request, const Frame& frame, ByteReader& reader) {
  const auto call = reader.get<uint8_t>();
  const auto bundle = reader.get_text(kMaxNameText);
  if (!reader.done() || call > static_cast<uint8_t>(AppCall::kCleanTemp)) return false;
  if (!has_descriptors(frame)) return false;
  const bool cleans = call == static_cast<uint8_t>(AppCall::kCleanTemp);
  if (cleans && session_ && session_->is_running(bundle)) {
    reply_text(client, request, "false");  // it is in use
    return true;
  }
  auto bytes = sealed_in(frame, 0, "the argument");
  if (!bytes) {
    reply(client, request, failure(bytes.error()));
    return true;
  }
  const auto start = [&] {
    return Inquiry::app_call(loop_, root_, bundle, static_cast<AppCall>(call),
                             {bytes->begin(), bytes->end()}, &metrics_.stuck);
  };
  const auto answer = [this, request](Client& asker, Result<Answer> said) {
    reply_text(asker, request, said->text);
  };
  (void)inquire(client, start, answer, request);
  return true;
}

// Keeps the inquiry until its processes are gone, and gives a good answer to `answer`. Its number,
// or 0 where it was refused.
uint64_t Server::inquire(Client& client,
                         const std::function<Result<std::unique_ptr<Inquiry>>()>& start,
                         std::function<void(Client&, Result<Answer>)> answer, uint32_t request) {
  if (client.inquiries >= kMaxInquiries) {
    const Error full{
        Code::kOutOfMemory, 0,
        std::to_string(kMaxInquiries) + " questions of this connection have no answer yet"};
    reply(client, request, failure(full));
    return 0;
  }
  auto inquiry = start();
  if (!inquiry) {
    reply(client, request, failure(inquiry.error()));
    return 0;
  }
  ++client.inquiries;
  const auto id = ++last_inquiry_;
  (*inquiry)->then([this, id, client_id = client.id, answer = std::move(answer),
                    request](Result<Answer> result) {
    // Later: the inquiry is still on the stack.
    (void)loop_.call_at(Loop::Clock::now(), [this, id] { inquiries_.erase(id); });
    const auto asker = clients_.find(client_id);
    if (asker == clients_.end()) return;
    --asker->second->inquiries;
    auto& sizing = asker->second->sizing;
    if (sizing && sizing->first == id) sizing.reset();
    if (!result) return reply(*asker->second, request, failure(result.error()));
    answer(*asker->second, std::move(result));
  });
  inquiries_[id] = {client.id, std::move(*inquiry)};
  return id;
}

bool Server::on_file_handle(Client& client, uint32_t request, ByteReader& reader) {
  const auto bundle = reader.get_text(kMaxNameText);
  const auto uri = reader.get_text(kMaxNameText);
  if (!reader.done()) return false;
  const bool owns = owns_session(client);
  reply(client, request,
        owns ? session_->file_handle(bundle, uri) : Result<void>(failure(no_session())),
        LogLevel::kDebug);
  return true;
}

bool Server::on_publish(Client& client, uint32_t request, Frame& frame, ByteReader& reader) {
  const auto bundle = reader.get_text(kMaxNameText);
  const auto uri = reader.get_text(kMaxNameText);
  if (!reader.done() || frame.fds.size() > 1) return false;
  auto content = content_in(frame);
  if (!owns_session(client)) {
    reply(client, request, failure(no_session()), LogLevel::kDebug);
  } else if (!content) {
    reply(client, request, failure(content.error().in("'" + uri + "'")), LogLevel::kDebug);
  } else if (auto accepted = session_->publish(request, bundle, uri, std::move(*content));
             !accepted) {
    reply(client, request, accepted, LogLevel::kDebug);
  }
  return true;
}

bool Server::on_update(Client& client, uint32_t request, FrameType type, ByteReader& reader) {
  const auto bundle = reader.get_text(kMaxNameText);
  const auto value = type == FrameType::kCancel ? 0 : reader.get<int32_t>();
  if (!reader.done() || value < 0) return false;
  const bool owns = owns_session(client);
  if (type == FrameType::kCancel) {
    const auto refusal = owns ? session_->cancel(bundle) : Code::kCancelNotFound;
    reply_text(client, request, std::to_string(refusal ? static_cast<int32_t>(*refusal) : 0));
    return true;
  }
  const bool changed =
      owns && (type == FrameType::kUpdateTimer
                   ? session_->update_timer(bundle, std::chrono::milliseconds(value))
                   : session_->update_rate(bundle, static_cast<uint32_t>(value)));
  reply_text(client, request, changed ? "true" : "false");
  return true;
}

void Server::on_open(Client& client, uint32_t request, SessionKind kind) {
  if (session_) return reply(client, request, failure(conflict()));
  Session::Hooks hooks;
  hooks.tell = [this](Frame frame) {
    if (holder_ != nullptr) holder_->peer->say(std::move(frame));
  };
  hooks.is_heard = [this] { return holder_ == nullptr || !holder_->peer->is_behind(); };
  // Later: the session is still on the stack when it says so.
  hooks.ended = [this] { (void)loop_.call_at(Loop::Clock::now(), [this] { session_ended(); }); };
  session_ = std::make_unique<Session>(kind, root_, settings_, loop_, metrics_, client.window,
                                       std::move(hooks));
  holder_ = &client;
  holder_pid_ = client.credentials.pid;
  since_ = Loop::Clock::now();
  ++metrics_.sessions_opened.at(static_cast<size_t>(kind));
  log_line(LogLevel::kInfo,
           client.name() + " opened a " + std::string(describe(kind)) + " session");
  reply(client, request, {});
}

Error Server::conflict() const {
  const auto age = Loop::Clock::now() - since_;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(age).count();
  return {Code::kSessionConflict, 0,
          "a " + std::string(describe(session_->kind())) + " session of process " +
              std::to_string(holder_pid_) + " is open since " + std::to_string(seconds) + " s" +
              (holder_ == nullptr || release_request_ ? " and is finishing" : "")};
}

bool Server::on_append(Client& client, uint32_t request, bool more, Frame& frame) {
  if (!has_descriptors(frame)) return false;
  Pending& pending = client.append;
  // A client whose next part failed on its side begins anew.
  if (pending.request != request) pending = Pending{.request = request};
  if (!pending.refused) {
    auto taken = take_list(pending, frame);
    if (!taken) {
      pending = Pending{.request = request, .refused = true};
      reply(client, request, taken);
    }
  }
  if (more) return true;
  Pending whole = std::exchange(pending, {});
  if (whole.refused) return true;
  if (!owns_session(client)) {
    reply(client, request, failure(no_session()));
  } else {
    reply(client, request, session_->append(std::move(whole.list), whole.capabilities));
  }
  return true;
}

// The descriptors of a frame are its list, in a restore the capability file, and the manifests.
Result<void> Server::take_list(Pending& pending, Frame& frame) const {
  auto bytes = sealed_in(frame, 0, "the list of bundles");
  if (!bytes) return failure(bytes.error());
  pending.bytes += bytes->size();
  if (pending.bytes > kMaxListBytes) {
    return failure(Code::kInvalidArgument, "the lists of one append have more than " +
                                               std::to_string(kMaxListBytes) + " bytes");
  }
  auto requests = decode_list(*bytes);
  if (!requests) return failure(requests.error());
  size_t next = 1;
  if (session_ && session_->kind() == SessionKind::kRestore && next < frame.fds.size()) {
    auto file = sealed_in(frame, next++, "the capability file");
    if (!file) return failure(file.error());
    pending.capabilities.assign(file->begin(), file->end());
  }
  if (pending.list.size() + requests->size() > kMaxBundles) {
    return failure(Code::kInvalidArgument, "the lists of one append have more than " +
                                               std::to_string(kMaxBundles) + " bundles");
  }
  for (auto& request : *requests) {
    if (request.has_manifest) {
      if (next >= frame.fds.size()) return failure(Code::kIpc, "a manifest is missing");
      request.manifest = std::move(frame.fds[next++]);
    }
    pending.list.push_back(std::move(request));
  }
  return {};
}

void Server::on_release(Client& client, uint32_t request) {
  if (!owns_session(client)) return reply(client, request, failure(no_session()));
  stop_sizing(client, "the session was released");
  release_request_ = request;
  session_->release();
}

void Server::session_ended() {
  log_session_end();
  session_.reset();
  Client* holder = std::exchange(holder_, nullptr);
  const auto request = std::exchange(release_request_, std::nullopt);
  if (holder != nullptr && request) reply(*holder, *request, {});
  check_idle();
}

void Server::log_session_end() const {
  const auto age = Loop::Clock::now() - since_;
  const auto& counts = session_->counts();
  log_line(LogLevel::kInfo,
           "the " + std::string(describe(session_->kind())) + " session of process " +
               std::to_string(holder_pid_) + " ended after " +
               std::to_string(std::chrono::duration_cast<std::chrono::seconds>(age).count()) +
               " s: " + std::to_string(counts.ended) + " bundles ended, " +
               std::to_string(counts.failed) + " of them with an error, " +
               std::to_string(counts.refused) + " did not begin");
}

bool Server::owns_session(const Client& client) const {
  return session_ && holder_ == &client && !release_request_;
}

void Server::reply(Client& client, uint32_t request, const Result<void>& result, LogLevel level) {
  std::optional<Error> error;
  if (!result) {
    error = result.error();
    // Who replaces a request or ends it has not failed.
    if (error->code == Code::kCancelled) level = LogLevel::kDebug;
    ++metrics_.requests_failed;
    log_failure(level == LogLevel::kDebug ? level : when_told(level),
                "a request of " + client.name(), *error);
  }
  client.peer->say(reply_frame(request, error));
}

void Server::reply_text(Client& client, uint32_t request, std::string_view text) {
  client.peer->say(reply_frame(request, std::nullopt, text));
}

void Server::reply_file(Client& client, uint32_t request, UniqueFd file) {
  auto made = reply_frame(request, std::nullopt);
  made.fds.push_back(std::move(file));
  client.peer->say(std::move(made));
}

// The client broke the grammar, or does not read.
void Server::lose(ClientId id, const Error& error) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  log_failure(found->second->greeted ? LogLevel::kWarning : stranger_level(),
              "the connection of " + found->second->name(), error);
  drop(id);
}

// The client has gone: as if it had released.
void Server::drop(ClientId id) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  log_line(LogLevel::kDebug, found->second->name() + " has gone");
  if (holder_ == found->second.get()) {
    holder_ = nullptr;
    release_request_.reset();
    session_->release();
  }
  std::erase_if(inquiries_, [id](const auto& entry) { return entry.second.client == id; });
  clients_.erase(found);
  check_idle();
}

void Server::shut_down() {
  close_listener();
  while (!clients_.empty()) drop(clients_.begin()->first);
  check_idle();
}

void Server::check_idle() {
  if (is_idle()) idle_();
}

}  // namespace backupkit
