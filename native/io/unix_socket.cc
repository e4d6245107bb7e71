#include "native/io/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "native/base/syscall.h"

namespace backupkit {
namespace {

constexpr size_t kRightsSpace = CMSG_SPACE(kMaxFds * sizeof(int));
// Beside the descriptors: credentials, a security label or a pidfd, should a peer provoke them.
constexpr size_t kOtherSpace = 512;

// An address, and for a path that is too long for one the directory it is said relative to.
struct Address {
  sockaddr_un socket{};
  UniqueFd directory;

  [[nodiscard]] const sockaddr* get() const {
    return reinterpret_cast<const sockaddr*>(&socket);  // what the socket API asks for
  }
};

Result<Address> address_of(const std::string& path) {
  Address address;
  address.socket.sun_family = AF_UNIX;
  std::string text = path;
  if (text.size() >= sizeof(address.socket.sun_path)) {
    const size_t slash = path.rfind('/');
    const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    address.directory.reset(
        retry([&] { return ::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); }));
    if (!address.directory.is_open()) return errno_failure(parent);
    text = "/proc/self/fd/" + std::to_string(address.directory.get()) + "/" +
           path.substr(slash == std::string::npos ? 0 : slash + 1);
  }
  if (text.empty() || text.size() >= sizeof(address.socket.sun_path)) {
    return failure(Error::from_errno(text.empty() ? EINVAL : ENAMETOOLONG, path));
  }
  std::memcpy(static_cast<char*>(address.socket.sun_path), text.data(), text.size());
  return address;
}

Result<UniqueFd> new_socket(int extra_flags) {
  UniqueFd made(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | extra_flags, 0));
  if (!made.is_open()) return errno_failure("socket");
  return made;
}

// Whether `address` is a socket nobody listens on. Connecting to what is no socket is refused too.
bool is_stale(const std::string& path, const Address& address) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const auto probe = new_socket(SOCK_NONBLOCK);
  if (!probe) return false;
  const int answer =
      retry([&] { return ::connect(probe->get(), address.get(), sizeof(address.socket)); });
  return answer == -1 && errno == ECONNREFUSED;
}

Result<void> bind_to(BorrowedFd socket, const std::string& path) {
  const auto address = address_of(path);
  if (!address) return failure(address.error());
  const auto bind_once = [&] {
    return ::bind(socket.get(), address->get(), sizeof(address->socket)) == 0;
  };
  if (bind_once()) return {};
  if (errno != EADDRINUSE) return errno_failure(path);
  if (!is_stale(path, *address)) return failure(Error::from_errno(EADDRINUSE, path));
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return errno_failure(path);
  if (!bind_once()) return errno_failure(path);
  return {};
}

// Takes every descriptor out of the control data, first of all so that none is lost.
std::vector<UniqueFd> adopt_fds(msghdr& header) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    fds.reserve(fds.size() + count);
    for (size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      fds.emplace_back(number);
    }
  }
  return fds;
}

ssize_t receive(BorrowedFd socket, msghdr& header, int flags) {
  const auto once = [&] { return retry([&] { return ::recvmsg(socket.get(), &header, flags); }); };
  const auto size = once();
  // A peer that closed with our messages unread is reported once, before what it had sent.
  return size < 0 && errno == ECONNRESET ? once() : size;
}

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> seqpacket_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return errno_failure("socketpair");
  }
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

Result<UniqueFd> listen_seqpacket(const std::string& path, mode_t mode) {
  auto made = new_socket(SOCK_NONBLOCK);
  if (!made) return made;
  // unix(7) does not say it, but bind(2) takes the mode of the socket's inode, less the umask: so
  // there is no moment in which more may connect than `mode` lets.
  if (::fchmod(made->get(), mode) != 0) return errno_failure(path);
  if (auto bound = bind_to(made->borrow(), path); !bound) return failure(bound.error());
  if (::chmod(path.c_str(), mode) != 0) return errno_failure(path);
  if (::listen(made->get(), SOMAXCONN) != 0) return errno_failure(path);
  return made;
}

Result<UniqueFd> connect_seqpacket(const std::string& path) {
  const auto address = address_of(path);
  if (!address) return failure(address.error());
  auto made = new_socket(0);
  if (!made) return made;
  const int answer =
      retry([&] { return ::connect(made->get(), address->get(), sizeof(address->socket)); });
  if (answer != 0) return errno_failure(path);
  return made;
}

Result<UniqueFd> accept_seqpacket(BorrowedFd listener) {
  UniqueFd accepted(retry(
      [&] { return ::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); }));
  // ECONNABORTED: it hung up while it waited.
  if (accepted.is_open() || errno == EAGAIN || errno == ECONNABORTED) return accepted;
  return errno_failure("accept");
}

Result<PeerCredentials> peer_credentials(BorrowedFd socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return errno_failure("peer credentials");
  }
  return PeerCredentials{peer.pid, peer.uid, peer.gid};
}

Result<void> set_nonblocking(BorrowedFd fd, bool nonblocking) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags == -1) return errno_failure("status flags");
  const int wanted = nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  if (wanted != flags && ::fcntl(fd.get(), F_SETFL, wanted) != 0) {
    return errno_failure("status flags");
  }
  return {};
}

Result<Sent> send_message(BorrowedFd socket, std::span<const uint8_t> bytes,
                          std::span<const BorrowedFd> fds) {
  if (bytes.empty() || fds.size() > kMaxFds) {
    return failure(Code::kInvalidArgument, "message to send");
  }
  iovec part{const_cast<uint8_t*>(bytes.data()), bytes.size()};  // NOLINT: iovec has no const
  alignas(cmsghdr) std::array<uint8_t, kRightsSpace> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    for (size_t i = 0; i < fds.size(); ++i) {
      const int number = fds[i].get();
      std::memcpy(CMSG_DATA(rights) + i * sizeof(int), &number, sizeof(int));
    }
  }
  if (retry([&] { return ::sendmsg(socket.get(), &header, MSG_NOSIGNAL); }) >= 0) return Sent::kAll;
  if (errno == EAGAIN) return Sent::kNoRoom;
  if (errno == ETOOMANYREFS) return Sent::kTooManyInFlight;
  if (errno == EPIPE || errno == ECONNRESET) {
    return failure(Error{Code::kClosed, errno, "send to peer"});
  }
  return errno_failure("send to peer");
}

Result<Receipt> receive_message(BorrowedFd socket, Incoming& message, bool waits, SlowFiles* slow) {
  // Not initialised: 64 KiB would be cleared for each small message.
  std::array<uint8_t, kMaxMessage> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  alignas(cmsghdr) std::array<uint8_t, kRightsSpace + kOtherSpace> control;  // NOLINT: as above
  iovec part{bytes.data(), bytes.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const auto size = receive(socket, header, MSG_CMSG_CLOEXEC | (waits ? 0 : MSG_DONTWAIT));
  if (size < 0) {
    if (errno == EAGAIN) return Receipt::kWouldBlock;
    if (errno == ECONNRESET) return Receipt::kEnd;
    return errno_failure("receive from peer");
  }
  auto fds = adopt_fds(header);
  if (slow != nullptr) slow->mark(fds);
  if ((header.msg_flags & MSG_TRUNC) != 0) {
    return failure(Code::kIpc, "the peer's message is too long");
  }
  if (size == 0) return Receipt::kEnd;
  message.truncated = (header.msg_flags & MSG_CTRUNC) != 0;
  if (message.truncated) fds.clear();
  message.bytes.assign(bytes.data(), bytes.data() + size);
  message.fds = std::move(fds);
  return Receipt::kMessage;
}

}  // namespace backupkit
