// The service towards its clients: connections, permissions, and the one session there may be.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "native/base/log.h"
#include "native/service/inquiry.h"
#include "native/service/metrics.h"
#include "native/service/peer.h"
#include "native/service/session.h"
#include "native/transfer/token_bucket.h"

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

  // From now on these hold, for the clients that are connected too.
  void configure(ServiceSettings settings);

  // Accepts nobody any more, ends every session as its release would, then calls `idle`.
  void shut_down();

  // True when there is neither a connection nor a session.
  [[nodiscard]] bool is_idle() const { return clients_.empty() && !session_; }

 private:
  struct Client;
  struct Pending;
  using ClientId = uint64_t;

  [[nodiscard]] Result<void> watch_listener();
  void close_listener();
  void on_listener();
  void make_room();
  [[nodiscard]] LogLevel stranger_level();
  void on_frame(Client& client, Frame frame);
  void refuse(Client& client, uint32_t request, const Error& reason);
  [[nodiscard]] bool take_frame(Client& client, Frame& frame, ByteReader& reader);
  [[nodiscard]] bool has_too_many(const Client& client) const;
  [[nodiscard]] bool greet(Client& client, ByteReader& reader);
  [[nodiscard]] bool settle(const Client& client, ByteReader& reader);
  [[nodiscard]] bool take_request(Client& client, uint32_t request, Frame& frame,
                                  ByteReader& reader);
  [[nodiscard]] bool on_capabilities(Client& client, uint32_t request, const Frame& frame,
                                     ByteReader& reader);
  [[nodiscard]] bool on_app_call(Client& client, uint32_t request, const Frame& frame,
                                 ByteReader& reader);
  [[nodiscard]] bool on_data_size(Client& client, uint32_t request, const Frame& frame,
                                  ByteReader& reader);
  void stop_sizing(Client& client, const std::string& why);
  [[nodiscard]] bool on_file_handle(Client& client, uint32_t request, ByteReader& reader);
  [[nodiscard]] bool on_publish(Client& client, uint32_t request, Frame& frame, ByteReader& reader);
  [[nodiscard]] bool on_update(Client& client, uint32_t request, FrameType type,
                               ByteReader& reader);
  void on_metrics(Client& client, uint32_t request);
  [[nodiscard]] ServiceState state() const;
  void on_open(Client& client, uint32_t request, SessionKind kind);
  [[nodiscard]] bool on_append(Client& client, uint32_t request, bool more, Frame& frame);
  [[nodiscard]] Result<void> take_list(Pending& pending, Frame& frame) const;
  void on_release(Client& client, uint32_t request);
  void session_ended();

  [[nodiscard]] uint64_t survey(Client& client, uint32_t request, const Frame& frame,
                                SurveyScope scope,
                                std::function<void(Client&, Result<Answer>)> answer);
  [[nodiscard]] uint64_t inquire(Client& client,
                                 const std::function<Result<std::unique_ptr<Inquiry>>()>& start,
                                 std::function<void(Client&, Result<Answer>)> answer,
                                 uint32_t request);
  void reply(Client& client, uint32_t request, const Result<void>& result,
             LogLevel level = LogLevel::kWarning);
  static void reply_file(Client& client, uint32_t request, UniqueFd file);
  void reply_text(Client& client, uint32_t request, std::string_view text);
  void lose(ClientId id, const Error& error);
  void drop(ClientId id);
  void log_session_end() const;
  void check_idle();
  [[nodiscard]] Error conflict() const;
  [[nodiscard]] bool owns_session(const Client& client) const;

  Loop& loop_;
  BorrowedFd root_;
  ServiceSettings settings_;
  std::function<void()> idle_;
  Metrics metrics_;
  UniqueFd listener_;
  Loop::TimerId accept_timer_ = 0;
  bool turns_away_ = false;  // there was no room for the last one who came
  TokenBucket strangers_told_{1, Loop::Clock::now()};  // of whom the log tells, a second
  std::map<ClientId, std::unique_ptr<Client>> clients_;
  ClientId last_client_ = 0;
  struct Question {
    ClientId client = 0;
    std::unique_ptr<Inquiry> inquiry;
  };
  std::map<uint64_t, Question> inquiries_;
  uint64_t last_inquiry_ = 0;
  std::unique_ptr<Session> session_;
  Client* holder_ = nullptr;  // of the session; none when it left and the session is finishing
  pid_t holder_pid_ = 0;
  std::chrono::steady_clock::time_point since_;
  std::optional<uint32_t> release_request_;
};

}  // namespace backupkit
