// The clients that are connected: how many there may be, and which of them may call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "native/base/log.h"
#include "native/io/loop.h"
#include "native/service/access.h"
#include "native/service/caller.h"
#include "native/service/metrics.h"
#include "native/transfer/token_bucket.h"

namespace backupkit {

// Runs on the loop's thread. Greets who comes, refuses the requests of those without permission,
// and hands out the others'. One that breaks the grammar, or does not read, is left.
class Callers {
 public:
  struct Hooks {
    // Of one that may call. False: the frame breaks the grammar.
    std::function<bool(Caller&, uint32_t request, Frame&, ByteReader&)> request;
    // Of one that has greeted. False as above.
    std::function<bool(const Caller&, ByteReader&)> settle;
    std::function<void(const Caller&)> drained;  // all that had to wait for it is sent
    std::function<void(const Caller&)> gone;     // and is no longer one of these
    std::function<bool(const Caller&)> has_session;
  };

  // `settings` and `metrics` outlive it.
  Callers(Loop& loop, const ServiceSettings& settings, Metrics& metrics, Hooks hooks);

  // Serves one connected client. A trusted one has every permission.
  [[nodiscard]] Result<void> adopt(UniqueFd socket, bool trusted);

  // Before one is adopted whom nobody knows: if there are too many of them, the oldest gives way.
  void make_room();

  // The settings have changed: they hold for those that are connected, too.
  void check_rights();

  void drop_all();

  [[nodiscard]] size_t count() const { return connections_.size(); }

  // In all of them, for those who have not read.
  [[nodiscard]] size_t frames_waiting() const;

 private:
  struct Connection {
    Caller caller;
    bool is_trusted = false;
    bool has_greeted = false;
    bool is_refused = false;         // and the log says so
    std::optional<Error> refusal{};  // what every call of it is answered with
  };

  [[nodiscard]] Result<std::unique_ptr<Peer>> connect(Connection& connection, UniqueFd socket);
  void on_frame(Connection& connection, Frame frame);
  [[nodiscard]] bool take_frame(Connection& connection, Frame& frame, ByteReader& reader);
  [[nodiscard]] bool greet(Connection& connection, ByteReader& reader);
  void refuse(Connection& connection, uint32_t request, const Error& reason);
  void check_right(Connection& connection) const;
  [[nodiscard]] bool has_too_many(const Connection& connection) const;
  [[nodiscard]] LogLevel stranger_level();
  void lose(Caller::Id id, const Error& error);
  void drop(Caller::Id id);

  Loop& loop_;
  const ServiceSettings& settings_;
  Metrics& metrics_;
  Hooks hooks_;
  std::map<Caller::Id, std::unique_ptr<Connection>> connections_;  // in the order of their coming
  Caller::Id last_ = 0;
  TokenBucket strangers_told_{1, Loop::Clock::now()};  // of whom the log tells, a second
};

}  // namespace backupkit
