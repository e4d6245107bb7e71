#include "native/service/server.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "native/base/log.h"
#include "native/io/tmpfile.h"
#include "native/service/attachments.h"
#include "native/service/survey.h"

namespace backupkit {
namespace {

// By their numbers.
constexpr std::array<std::string_view, 16> kRequests = {
    "",           "Hello",   "Capabilities", "OpenSession", "Append",  "FileHandle",
    "Publish",    "Release", "Settle",       "Version",     "AppCall", "UpdateTimer",
    "UpdateRate", "Cancel",  "DataSize",     "Metrics"};

Error no_session() {
  return {Code::kNotPermitted, 0, "there is no open session on this connection"};
}

}  // namespace

Server::Server(Loop& loop, BorrowedFd root, ServiceSettings settings, std::function<void()> idle)
    : loop_(loop),
      root_(root),
      settings_(std::move(settings)),
      idle_(std::move(idle)),
      callers_(loop, settings_, metrics_, hooks()),
      door_(loop,
            [this](UniqueFd socket) {
              callers_.make_room();
              return callers_.adopt(std::move(socket), false);
            }),
      questions_(
          loop, root, settings_,
          [this](const std::string& bundle) { return session_ && session_->is_running(bundle); },
          &metrics_.stuck) {}

Callers::Hooks Server::hooks() {
  Callers::Hooks hooks;
  hooks.request = [this](Caller& caller, uint32_t request, Frame& frame, ByteReader& reader) {
    return take_request(caller, request, frame, reader);
  };
  hooks.settle = [this](const Caller& caller, ByteReader& reader) {
    return settle(caller, reader);
  };
  hooks.drained = [this](const Caller& caller) {
    if (session_ && holder_ == &caller) session_->resume();
  };
  hooks.gone = [this](const Caller& caller) { on_gone(caller); };
  hooks.has_session = [this](const Caller& caller) { return holder_ == &caller; };
  return hooks;
}

Result<void> Server::listen(UniqueFd listener) { return door_.open(std::move(listener)); }

Result<void> Server::adopt(UniqueFd socket, bool trusted) {
  return callers_.adopt(std::move(socket), trusted);
}

void Server::configure(ServiceSettings settings) {
  settings_ = std::move(settings);
  callers_.check_rights();
}

bool Server::settle(const Caller& caller, ByteReader& reader) {
  const auto sequence = reader.get<uint64_t>();
  const auto outcome = reader.get<uint8_t>();
  if (!reader.done() || outcome > static_cast<uint8_t>(Outcome::kRefused)) return false;
  if (session_ && holder_ == &caller) session_->settle(sequence, static_cast<Outcome>(outcome));
  return true;
}

bool Server::take_request(Caller& caller, uint32_t request, Frame& frame, ByteReader& reader) {
  const auto type = static_cast<size_t>(frame.type);
  const bool is_of_a_file =
      frame.type == FrameType::kFileHandle || frame.type == FrameType::kPublish;
  if (logs(LogLevel::kDebug) && type < kRequests.size() && !is_of_a_file) {
    log_line(LogLevel::kDebug, caller.name() + ": " + std::string(kRequests.at(type)));
  }
  switch (frame.type) {
    case FrameType::kCapabilities:
      return questions_.ask_capabilities(caller, request, frame, reader);
    case FrameType::kVersion:
      caller.reply_text(request, "{\"backupVersion\":\"" + std::string(kBackupVersion) + "\"}");
      return reader.done();
    case FrameType::kMetrics:
      on_metrics(caller, request);
      return reader.done();
    case FrameType::kAppCall:
      return questions_.ask_app(caller, request, frame, reader);
    case FrameType::kDataSize:
      return questions_.ask_data_size(caller, request, frame, reader);
    case FrameType::kOpenSession: {
      const auto kind = reader.get<uint8_t>();
      if (!reader.done() || kind > static_cast<uint8_t>(SessionKind::kIncremental)) return false;
      on_open(caller, request, static_cast<SessionKind>(kind));
      return true;
    }
    case FrameType::kAppend: {
      const bool more = reader.get<uint8_t>() != 0;
      return reader.done() && on_append(caller, request, more, frame);
    }
    case FrameType::kRelease:
      on_release(caller, request);
      return reader.done();
    case FrameType::kFileHandle:
      return on_file_handle(caller, request, reader);
    case FrameType::kPublish:
      return on_publish(caller, request, frame, reader);
    case FrameType::kUpdateTimer:
    case FrameType::kUpdateRate:
    case FrameType::kCancel:
      return on_update(caller, request, frame.type, reader);
    default:
      return false;
  }
}

void Server::on_metrics(Caller& caller, uint32_t request) const {
  const auto text = metrics_text(metrics_, state());
  const std::span bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  auto file = sealed_memfd("metrics", bytes);
  if (!file) return caller.reply(request, failure(file.error()));
  caller.reply_file(request, std::move(*file));
}

ServiceState Server::state() const {
  ServiceState state;
  const auto now = Loop::Clock::now();
  if (session_) {
    state.session = {.kind = session_->kind(), .client = holder_pid_, .age = now - since_};
    state.running = session_->running();
    state.bundles_waiting = session_->waiting();
  }
  state.connections = callers_.count();
  state.questions = questions_.count();
  state.frames_waiting = callers_.frames_waiting();
  return state;
}

bool Server::on_file_handle(Caller& caller, uint32_t request, ByteReader& reader) {
  const auto bundle = reader.get_text(kMaxNameText);
  const auto uri = reader.get_text(kMaxNameText);
  if (!reader.done()) return false;
  const bool owns = owns_session(caller);
  caller.reply(request,
               owns ? session_->file_handle(bundle, uri) : Result<void>(failure(no_session())),
               LogLevel::kDebug);
  return true;
}

bool Server::on_publish(Caller& caller, uint32_t request, Frame& frame, ByteReader& reader) {
  const auto bundle = reader.get_text(kMaxNameText);
  const auto uri = reader.get_text(kMaxNameText);
  if (!reader.done() || frame.fds.size() > 1) return false;
  auto content = content_in(frame);
  if (!owns_session(caller)) {
    caller.reply(request, failure(no_session()), LogLevel::kDebug);
  } else if (!content) {
    caller.reply(request, failure(content.error().in("'" + uri + "'")), LogLevel::kDebug);
  } else if (auto accepted = session_->publish(request, bundle, uri, std::move(*content));
             !accepted) {
    caller.reply(request, accepted, LogLevel::kDebug);
  }
  return true;
}

bool Server::on_update(Caller& caller, uint32_t request, FrameType type, ByteReader& reader) {
  const auto bundle = reader.get_text(kMaxNameText);
  const auto value = type == FrameType::kCancel ? 0 : reader.get<int32_t>();
  if (!reader.done() || value < 0) return false;
  const bool owns = owns_session(caller);
  if (type == FrameType::kCancel) {
    const auto refusal = owns ? session_->cancel(bundle) : Code::kCancelNotFound;
    caller.reply_text(request, std::to_string(refusal ? static_cast<int32_t>(*refusal) : 0));
    return true;
  }
  const bool changed =
      owns && (type == FrameType::kUpdateTimer
                   ? session_->update_timer(bundle, std::chrono::milliseconds(value))
                   : session_->update_rate(bundle, static_cast<uint32_t>(value)));
  caller.reply_text(request, changed ? "true" : "false");
  return true;
}

void Server::on_open(Caller& caller, uint32_t request, SessionKind kind) {
  if (session_) return caller.reply(request, failure(conflict()));
  Session::Hooks hooks;
  hooks.tell = [this](Frame frame) {
    if (holder_ != nullptr) holder_->peer->say(std::move(frame));
  };
  hooks.is_heard = [this] { return holder_ == nullptr || !holder_->peer->is_behind(); };
  // Later: the session is still on the stack when it says so.
  hooks.ended = [this] { (void)loop_.call_at(Loop::Clock::now(), [this] { session_ended(); }); };
  session_ = std::make_unique<Session>(kind, root_, settings_, loop_, metrics_, caller.window,
                                       std::move(hooks));
  holder_ = &caller;
  holder_pid_ = caller.credentials.pid;
  since_ = Loop::Clock::now();
  ++metrics_.sessions_opened.at(static_cast<size_t>(kind));
  log_line(LogLevel::kInfo,
           caller.name() + " opened a " + std::string(describe(kind)) + " session");
  caller.reply(request, {});
}

Error Server::conflict() const {
  const auto age = Loop::Clock::now() - since_;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(age).count();
  return {Code::kSessionConflict, 0,
          "a " + std::string(describe(session_->kind())) + " session of process " +
              std::to_string(holder_pid_) + " is open since " + std::to_string(seconds) + " s" +
              (holder_ == nullptr || release_request_ ? " and is finishing" : "")};
}

bool Server::on_append(Caller& caller, uint32_t request, bool more, Frame& frame) {
  if (!has_descriptors(frame)) return false;
  const bool is_restore = session_ && session_->kind() == SessionKind::kRestore;
  if (auto taken = caller.append.take(request, frame, is_restore); !taken) {
    caller.reply(request, taken);
  }
  if (more) return true;
  auto whole = caller.append.finish();
  if (!whole) return true;  // it is answered already
  if (!owns_session(caller)) {
    caller.reply(request, failure(no_session()));
  } else {
    caller.reply(request, session_->append(std::move(whole->list), whole->capabilities));
  }
  return true;
}

void Server::on_release(Caller& caller, uint32_t request) {
  if (!owns_session(caller)) return caller.reply(request, failure(no_session()));
  questions_.stop_sizing(caller, "the session was released");
  release_request_ = request;
  session_->release();
}

void Server::session_ended() {
  log_session_end();
  session_.reset();
  Caller* holder = std::exchange(holder_, nullptr);
  const auto request = std::exchange(release_request_, std::nullopt);
  if (holder != nullptr && request) holder->reply(*request, {});
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

bool Server::owns_session(const Caller& caller) const {
  return session_ && holder_ == &caller && !release_request_;
}

// As if it had released.
void Server::on_gone(const Caller& caller) {
  if (holder_ == &caller) {
    holder_ = nullptr;
    release_request_.reset();
    session_->release();
  }
  questions_.forget(caller);
  check_idle();
}

void Server::shut_down() {
  door_.close();
  callers_.drop_all();
  check_idle();
}

void Server::check_idle() {
  if (is_idle()) idle_();
}

}  // namespace backupkit
