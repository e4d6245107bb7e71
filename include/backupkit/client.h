// A connection to a backup service, for programs without Java and for the Java bridge.
//
//   auto client = backupkit::Client::connect("/run/backupkit/service.sock");
//   (*client)->open_session(1, 0);         // request 1: a backup
//   auto batch = (*client)->await();       // its reply, and later the session's events
//   auto events = backupkit::read_events(std::move(**batch));  // event.h
//
// Requests are answered by replies with the request's number.
#pragma once

#include <chrono>
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

// What arrived together: frames as on the wire, back to back, and their descriptors in order;
// read_events() of event.h takes it.
struct EventBatch {
  std::vector<uint8_t> frames;
  std::vector<UniqueFd> fds;
};

// What became of a file: 0, its callback has returned; 1, its descriptor was closed.
struct Settled {
  uint64_t sequence = 0;
  uint8_t outcome = 0;
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

  // Blocks until something arrives; std::nullopt at the connection's end; an empty batch where
  // nothing has come within `patience`, if there is one. A file for whose descriptor there was no
  // room here comes again later; a reply in this case carries kOutOfMemory.
  [[nodiscard]] Result<std::optional<EventBatch>> await(
      std::optional<std::chrono::milliseconds> patience = std::nullopt);

  // Ends the connection: await() gives the end, every later request an Error. May be repeated.
  void shut_down();

  // `measured`: with the size of the data, which is walked for it. `times`: those of
  // encode_times() in bundle_list.h; empty: every bundle.
  [[nodiscard]] Result<void> capabilities(uint32_t request, bool measured,
                                          std::span<const uint8_t> times);
  [[nodiscard]] Result<void> version(uint32_t request);
  // The reply has OpenMetrics text, sealed.
  [[nodiscard]] Result<void> metrics(uint32_t request);
  // `call`: 0 getBackupInfo, 1 and 2 the compatibility of a backup and a restore, 3 removes what an
  // interrupted run left.
  [[nodiscard]] Result<void> app_call(uint32_t request, uint8_t call, const std::string& bundle,
                                      std::span<const uint8_t> argument);
  [[nodiscard]] Result<void> data_size(uint32_t request, bool precise,
                                       std::span<const uint8_t> times);
  // `kind`: 0 backup, 1 restore, 2 incremental backup.
  [[nodiscard]] Result<void> open_session(uint32_t request, uint8_t kind);
  // `list`: that of encode_list() in bundle_list.h; `more`: another append with the same request
  // follows. The descriptors are read from offset 0, whatever their position, and not kept;
  // `manifests` are at most 250.
  [[nodiscard]] Result<void> append(uint32_t request, bool more, std::span<const uint8_t> list,
                                    BorrowedFd capability_file,
                                    std::span<const BorrowedFd> manifests);
  [[nodiscard]] Result<void> file_handle(uint32_t request, const std::string& bundle,
                                         const std::string& uri);
  // `content`: a file that is read where it is, from offset 0; not open: what was asked for. It is
  // not kept.
  [[nodiscard]] Result<void> publish(uint32_t request, const std::string& bundle,
                                     const std::string& uri, BorrowedFd content);
  [[nodiscard]] Result<void> update_timer(uint32_t request, const std::string& bundle,
                                          int32_t milliseconds);
  [[nodiscard]] Result<void> update_rate(uint32_t request, const std::string& bundle,
                                         int32_t files_per_second);
  [[nodiscard]] Result<void> cancel(uint32_t request, const std::string& bundle);
  [[nodiscard]] Result<void> release(uint32_t request);
  // Says what became of files, together.
  [[nodiscard]] Result<void> settle(std::span<const Settled> files);

 private:
  struct Service;  // the process of an embedded one

  Client(UniqueFd socket, std::unique_ptr<Service> service);
  [[nodiscard]] Result<void> greet();
  [[nodiscard]] Result<bool> is_there(std::chrono::milliseconds patience) const;
  [[nodiscard]] Result<std::optional<EventBatch>> without_fds(std::span<const uint8_t> message);

  std::mutex sending_;
  UniqueFd socket_;
  std::unique_ptr<Service> service_;
  int32_t service_pid_ = -1;
};

}  // namespace backupkit
