// SOCK_SEQPACKET sockets of the unix domain: whole messages, each with the descriptors that belong
// to it. Every descriptor made or received here is close-on-exec.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/base/bytes.h"
#include "native/io/slow_files.h"

namespace backupkit {

// The longest message that is received.
constexpr size_t kMaxMessage = 65536;
// The most descriptors the kernel carries beside one message (SCM_MAX_FD).
constexpr size_t kMaxFds = 253;

// Who connected, as the kernel saw it at that moment.
struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

// Two connected sockets, both blocking.
[[nodiscard]] Result<std::pair<UniqueFd, UniqueFd>> seqpacket_pair();

// A non-blocking listening socket at `path` with `mode`. A socket that is there already is replaced
// only where connecting to it is refused, that is where nobody listens any more; else EADDRINUSE.
[[nodiscard]] Result<UniqueFd> listen_seqpacket(const std::string& path, mode_t mode);

// A blocking socket, connected to the listener at `path`.
[[nodiscard]] Result<UniqueFd> connect_seqpacket(const std::string& path);

// The next waiting connection, non-blocking. Gives a UniqueFd that is not open where none waits.
[[nodiscard]] Result<UniqueFd> accept_seqpacket(BorrowedFd listener);

[[nodiscard]] Result<PeerCredentials> peer_credentials(BorrowedFd socket);

[[nodiscard]] Result<void> set_nonblocking(BorrowedFd fd, bool nonblocking);

// What became of a message: sent; not sent since the socket has no room, which poll(2) tells the
// end of; not sent since too many descriptors are under way between all processes of this user
// (ETOOMANYREFS, unix(7)), of which nothing tells the end.
enum class Sent { kAll, kNoRoom, kTooManyInFlight };

// Sends one message whole, with `fds`, which stay the caller's, or nothing of it. Error kClosed:
// the peer is gone. No SIGPIPE. `bytes` must not be empty: an empty message reads as the end.
[[nodiscard]] Result<Sent> send_message(BorrowedFd socket, std::span<const uint8_t> bytes,
                                        std::span<const BorrowedFd> fds);

// One received message.
struct Incoming {
  Bytes bytes;
  std::vector<UniqueFd> fds;
  // Descriptors were lost on the way (no room in our table): those that arrived are closed again.
  bool truncated = false;
};

enum class Receipt { kMessage, kWouldBlock, kEnd };

// Receives one message into `message`, whose contents it replaces where the answer is kMessage.
// With `waits` false a blocking socket is one that is not. With `slow` the descriptors are marked
// by it, before any is closed. Error kIpc: the message was longer than kMaxMessage; its descriptors
// are closed.
[[nodiscard]] Result<Receipt> receive_message(BorrowedFd socket, Incoming& message,
                                              bool waits = true, SlowFiles* slow = nullptr);

}  // namespace backupkit
