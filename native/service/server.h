// The service towards its clients: connections, permissions, and the one session there may be.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "native/io/loop.h"
#include "native/io/unix_socket.h"
#include "native/protocol/channel.h"
#include "native/service/session.h"

namespace backupkit {

// Runs on the loop's thread.
class Server {
 public:
  // `root` outlives the server. `idle` is called whenever the last connection and session have
  // gone.
  Server(Loop& loop, BorrowedFd root, ServiceSettings settings, std::function<void()> idle);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Accepts clients from a listening socket, which is taken.
  [[nodiscard]] Result<void> listen(UniqueFd listener);

  // Serves one connected client. A trusted one has every permission.
  [[nodiscard]] Result<void> adopt(UniqueFd socket, bool trusted);

  // Ends every session as its release would, then calls `idle`.
  void shut_down();

  // True when there is neither a connection nor a session.
  [[nodiscard]] bool is_idle() const { return clients_.empty() && !session_; }

 private:
  struct Client;

  void on_listener();
  void on_client(Client& client, uint32_t events);
  void on_frame(Client& client, Frame frame);
  void on_capabilities(Client& client, uint32_t request);
  void on_open(Client& client, uint32_t request, SessionKind kind);
  void on_append(Client& client, uint32_t request, const Frame& frame);
  void on_release(Client& client, uint32_t request);
  void session_ended();
  void say(Client& client, Frame frame);
  void reply(Client& client, uint32_t request, const Result<void>& result);
  void drop(Client& client);
  void check_idle();
  [[nodiscard]] Error conflict() const;
  [[nodiscard]] bool owns_session(const Client& client) const;

  Loop& loop_;
  BorrowedFd root_;
  ServiceSettings settings_;
  std::function<void()> idle_;
  UniqueFd listener_;
  std::map<int, std::unique_ptr<Client>> clients_;
  std::unique_ptr<Session> session_;
  Client* holder_ = nullptr;  // of the session; none when it left and the session is finishing
  pid_t holder_pid_ = 0;
  std::chrono::steady_clock::time_point since_;
  std::optional<uint32_t> release_request_;
};

}  // namespace backupkit
