// A connection to a backup service, for programs without Java and for the Java bridge.
//
//   auto client = backupkit::Client::connect("/run/backupkit/service.sock");
//   (*client)->open_session(1, 0);                  // request 1: a backup
//   auto batch = (*client)->await();                // its Reply, and later the session's events
//
// Requests are answered by events with the request's number. The frames and their fields are in
// native/protocol/wire.h.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

// What arrived together: frames as on the wire, back to back, and their descriptors in order.
struct EventBatch {
  std::vector<uint8_t> frames;
  std::vector<UniqueFd> fds;
};

// Any thread may send; one thread at a time may await(). Sending blocks only while the socket's
// buffer is full. Every Error of a broken connection is kIpc.
class Client {
 public:
  // Connects to a service and greets it. Error kIpc: nobody listens, or another wire version.
  [[nodiscard]] static Result<std::unique_ptr<Client>> connect(const std::string& socket);

  // Starts `backupd` as a private service on the device root; it ends with this object. Error:
  // what the service gave as its reason (no such root, another service on it, ...).
  [[nodiscard]] static Result<std::unique_ptr<Client>> embed(const std::string& backupd,
                                                             const std::string& root);

  // Shuts the connection down and, if the service is embedded, waits for its end: a restore that
  // is being committed is finished first.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] int32_t service_pid() const { return service_pid_; }

  // Blocks until something arrives; std::nullopt at the connection's end.
  [[nodiscard]] Result<std::optional<EventBatch>> await();

  // Ends the connection: await() gives the end, every later request an Error. May be repeated.
  void shut_down();

  [[nodiscard]] Result<void> capabilities(uint32_t request);
  // `kind`: 0 backup, 1 restore.
  [[nodiscard]] Result<void> open_session(uint32_t request, uint8_t kind);
  // `list` as in wire.h; `capability_file` is read from offset 0, whatever its position, and not
  // kept.
  [[nodiscard]] Result<void> append(uint32_t request, std::span<const uint8_t> list,
                                    BorrowedFd capability_file);
  [[nodiscard]] Result<void> file_handle(uint32_t request, const std::string& bundle,
                                         const std::string& uri);
  [[nodiscard]] Result<void> publish(uint32_t request, const std::string& bundle,
                                     const std::string& uri);
  [[nodiscard]] Result<void> release(uint32_t request);
  // `outcome`: 0 the file's callback has returned, 1 its descriptor was closed.
  [[nodiscard]] Result<void> settle(uint64_t sequence, uint8_t outcome);

 private:
  struct Service;  // the process of an embedded one

  Client(UniqueFd socket, std::unique_ptr<Service> service);
  [[nodiscard]] Result<void> greet();

  std::mutex sending_;
  UniqueFd socket_;
  std::unique_ptr<Service> service_;
  int32_t service_pid_ = -1;
};

}  // namespace backupkit
