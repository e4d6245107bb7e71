#include "native/service/callers.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "native/base/log.h"

namespace backupkit {
namespace {

constexpr std::ptrdiff_t kMaxStrangers = 64;
constexpr std::ptrdiff_t kMaxCallers = 64;  // connections of one user

}  // namespace

Callers::Callers(Loop& loop, const ServiceSettings& settings, Metrics& metrics, Hooks hooks)
    : loop_(loop), settings_(settings), metrics_(metrics), hooks_(std::move(hooks)) {}

Result<void> Callers::adopt(UniqueFd socket, bool trusted) {
  auto credentials = peer_credentials(socket.borrow());
  if (!credentials) return failure(credentials.error());
  ++metrics_.connections_accepted;
  const auto id = ++last_;
  auto connection = std::make_unique<Connection>(
      Connection{.caller = {.id = id, .credentials = *credentials, .metrics = metrics_},
                 .is_trusted = trusted});
  check_right(*connection);
  auto peer = connect(*connection, std::move(socket));
  if (!peer) return failure(peer.error());
  connection->caller.peer = std::move(*peer);
  log_line(LogLevel::kDebug, connection->caller.name() + " is connected");
  connections_[id] = std::move(connection);
  return {};
}

Result<std::unique_ptr<Peer>> Callers::connect(Connection& connection, UniqueFd socket) {
  Peer::Handlers handlers;
  handlers.frame = [this, kept = &connection](Frame frame) { on_frame(*kept, std::move(frame)); };
  handlers.end = [this, id = connection.caller.id](const std::optional<Error>& error) {
    return error ? lose(id, *error) : drop(id);
  };
  handlers.drained = [this, kept = &connection] { hooks_.drained(kept->caller); };
  return Peer::make(loop_, std::move(socket), std::move(handlers));
}

// Whoever connects could otherwise keep all others out: the oldest stranger gives way.
void Callers::make_room() {
  const auto is_stranger = [this](const auto& entry) {
    const Connection& connection = *entry.second;
    return !hooks_.has_session(connection.caller) &&
           (!connection.has_greeted || connection.refusal);
  };
  if (std::ranges::count_if(connections_, is_stranger) < kMaxStrangers) return;
  log_line(stranger_level(), std::to_string(kMaxStrangers) +
                                 " connections have not greeted or may not call: the oldest gives "
                                 "way");
  drop(std::ranges::find_if(connections_, is_stranger)->first);
}

void Callers::check_rights() {
  for (auto& [id, connection] : connections_) check_right(*connection);
}

void Callers::check_right(Connection& connection) const {
  if (connection.is_trusted) return;
  connection.refusal = settings_.refusal(connection.caller.credentials.uid);
}

size_t Callers::frames_waiting() const {
  size_t waiting = 0;
  for (const auto& [id, connection] : connections_) waiting += connection->caller.peer->waiting();
  return waiting;
}

void Callers::on_frame(Connection& connection, Frame frame) {
  const auto id = connection.caller.id;
  ByteReader reader(frame.body);
  if (take_frame(connection, frame, reader)) return;
  // A frame that breaks the grammar ends the conversation.
  lose(id, Error{Code::kIpc, 0,
                 "its frame of type " + std::to_string(static_cast<uint16_t>(frame.type)) + " " +
                     wrong_with(reader)});
}

bool Callers::take_frame(Connection& connection, Frame& frame, ByteReader& reader) {
  Caller& caller = connection.caller;
  if (frame.type == FrameType::kHello) return greet(connection, reader);
  if (!connection.has_greeted) return false;
  if (frame.type == FrameType::kSettle) return hooks_.settle(caller, reader);
  const auto request = reader.get<uint32_t>();
  if (!reader.ok()) return false;
  // Whose rights were taken meanwhile may still let go of its session.
  if (connection.refusal && frame.type != FrameType::kRelease) {
    refuse(connection, request, *connection.refusal);
    return true;
  }
  return hooks_.request(caller, request, frame, reader);
}

bool Callers::greet(Connection& connection, ByteReader& reader) {
  Caller& caller = connection.caller;
  const auto version = reader.get<uint32_t>();
  const auto window = reader.get<uint32_t>();
  if (version != kWireVersion || !reader.done()) return false;
  if (!connection.has_greeted && has_too_many(connection)) {
    const auto uid = std::to_string(caller.credentials.uid);
    const Error full{Code::kOutOfMemory, 0,
                     "uid " + uid + " has " + std::to_string(kMaxCallers) +
                         " connections: close those that are not needed"};
    caller.reply(0, failure(full), stranger_level());
    drop(caller.id);
    return true;
  }
  connection.has_greeted = true;
  caller.window = std::clamp(window, 1U, affordable_window());
  caller.peer->say(FrameBuilder(FrameType::kWelcome)
                       .number(kWireVersion)
                       .number(static_cast<int32_t>(::getpid()))
                       .build());
  return true;
}

// One who calls again and again is named once.
void Callers::refuse(Connection& connection, uint32_t request, const Error& reason) {
  Caller& caller = connection.caller;
  if (caller.peer->is_behind()) {
    return lose(caller.id, Error{Code::kOutOfMemory, 0, "it may not call, and reads no answers"});
  }
  const bool is_named = std::exchange(connection.is_refused, true);
  caller.reply(request, failure(reason), is_named ? LogLevel::kDebug : LogLevel::kWarning);
}

// Whether its user has the most connections already.
bool Callers::has_too_many(const Connection& connection) const {
  if (connection.is_trusted || connection.refusal) return false;
  const auto uid = connection.caller.credentials.uid;
  return std::ranges::count_if(connections_, [uid](const auto& entry) {
           return entry.second->has_greeted && entry.second->caller.credentials.uid == uid;
         }) >= kMaxCallers;
}

// Whoever connects could otherwise fill the log.
LogLevel Callers::stranger_level() {
  return strangers_told_.take(Loop::Clock::now()) ? LogLevel::kWarning : LogLevel::kDebug;
}

// The client broke the grammar, or does not read.
void Callers::lose(Caller::Id id, const Error& error) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  log_failure(found->second->has_greeted ? LogLevel::kWarning : stranger_level(),
              "the connection of " + found->second->caller.name(), error);
  drop(id);
}

void Callers::drop(Caller::Id id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const auto dropped = std::move(found->second);
  connections_.erase(found);
  log_line(LogLevel::kDebug, dropped->caller.name() + " has gone");
  hooks_.gone(dropped->caller);
}

void Callers::drop_all() {
  while (!connections_.empty()) drop(connections_.begin()->first);
}

}  // namespace backupkit
