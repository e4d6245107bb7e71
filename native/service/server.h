// The service towards its clients: what they ask for, and the one session there may be.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "native/service/callers.h"
#include "native/service/door.h"
#include "native/service/metrics.h"
#include "native/service/questions.h"
#include "native/service/session.h"

namespace backupkit {

// Runs on the loop's thread.
class Server {
 public:
  // `root` outlives the server. `idle` is called whenever the last connection and session have
  // gone.
  Server(Loop& loop, BorrowedFd root, ServiceSettings settings, std::function<void()> idle);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Accepts clients from a listening socket, which is taken.
  [[nodiscard]] Result<void> listen(UniqueFd listener);

  // Serves one connected client. A trusted one has every permission.
  [[nodiscard]] Result<void> adopt(UniqueFd socket, bool trusted);

  // From now on these hold, for the clients that are connected too.
  void configure(ServiceSettings settings);

  // Accepts nobody any more, ends every session as its release would, then calls `idle`.
  void shut_down();

  // True when there is neither a connection nor a session.
  [[nodiscard]] bool is_idle() const { return callers_.count() == 0 && !session_; }

 private:
  [[nodiscard]] Callers::Hooks hooks();
  [[nodiscard]] bool take_request(Caller& caller, uint32_t request, Frame& frame,
                                  ByteReader& reader);
  [[nodiscard]] bool settle(const Caller& caller, ByteReader& reader);
  [[nodiscard]] bool on_file_handle(Caller& caller, uint32_t request, ByteReader& reader);
  [[nodiscard]] bool on_publish(Caller& caller, uint32_t request, Frame& frame, ByteReader& reader);
  [[nodiscard]] bool on_update(Caller& caller, uint32_t request, FrameType type,
                               ByteReader& reader);
  void on_metrics(Caller& caller, uint32_t request) const;
  [[nodiscard]] ServiceState state() const;
  void on_open(Caller& caller, uint32_t request, SessionKind kind);
  [[nodiscard]] bool on_append(Caller& caller, uint32_t request, bool more, Frame& frame);
  void on_release(Caller& caller, uint32_t request);
  void on_gone(const Caller& caller);
  void session_ended();
  void log_session_end() const;
  void check_idle();
  [[nodiscard]] Error conflict() const;
  [[nodiscard]] bool owns_session(const Caller& caller) const;

  Loop& loop_;
  BorrowedFd root_;
  ServiceSettings settings_;
  std::function<void()> idle_;
  Metrics metrics_;
  Callers callers_;
  Door door_;
  Questions questions_;
  std::unique_ptr<Session> session_;
  Caller* holder_ = nullptr;  // of the session; none when it left and the session is finishing
  pid_t holder_pid_ = 0;
  std::chrono::steady_clock::time_point since_;
  std::optional<uint32_t> release_request_;
};

}  // namespace backupkit
