#include "native/service/server.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>

#include "native/io/tmpfile.h"

namespace backupkit {
namespace {

constexpr size_t kMaxClients = 64;

constexpr std::array kKindNames = {"backup", "restore", "incremental backup"};

Error no_session() {
  return {Code::kNotPermitted, 0, "there is no open session on this connection"};
}

}  // namespace

struct Server::Client {
  explicit Client(UniqueFd socket) : channel(std::move(socket)) {}

  Channel channel;
  PeerCredentials peer{};
  bool greeted = false;
  std::optional<Error> refusal;  // what every call of it is answered with
};

Server::Server(Loop& loop, BorrowedFd root, ServiceSettings settings, std::function<void()> idle)
    : loop_(loop), root_(root), settings_(std::move(settings)), idle_(std::move(idle)) {}

Server::~Server() {
  for (auto& [number, client] : clients_) loop_.forget(BorrowedFd(number));
  if (listener_.is_open()) loop_.forget(listener_.borrow());
}

Result<void> Server::listen(UniqueFd listener) {
  listener_ = std::move(listener);
  return loop_.watch(listener_.borrow(), EPOLLIN, [this](uint32_t) { on_listener(); });
}

void Server::on_listener() {
  auto socket = accept_seqpacket(listener_.borrow());
  // One that went away again, or no descriptor for it: the next turn tries again.
  if (!socket || !socket->is_open()) return;
  if (clients_.size() >= kMaxClients) return;  // closed: the caller sees the connection end
  (void)adopt(std::move(*socket), false);
}

Result<void> Server::adopt(UniqueFd socket, bool trusted) {
  auto client = std::make_unique<Client>(std::move(socket));
  const BorrowedFd fd = client->channel.socket();
  if (auto set = set_nonblocking(fd, true); !set) return set;
  auto peer = peer_credentials(fd);
  if (!peer) return failure(peer.error());
  client->peer = *peer;
  if (!trusted) client->refusal = settings_.refusal(peer->uid);
  Client& kept = *client;
  auto watched =
      loop_.watch(fd, EPOLLIN, [this, &kept](uint32_t events) { on_client(kept, events); });
  if (!watched) return watched;
  clients_[fd.get()] = std::move(client);
  return {};
}

void Server::on_client(Client& client, uint32_t events) {
  if ((events & EPOLLOUT) != 0) {
    auto flushed = client.channel.flush();
    if (!flushed) return drop(client);
    if (*flushed) (void)loop_.change(client.channel.socket(), EPOLLIN);
  }
  if ((events & ~uint32_t{EPOLLOUT}) == 0) return;
  auto arrival = client.channel.receive();
  if (!arrival || arrival->receipt == Receipt::kEnd) return drop(client);
  const int number = client.channel.socket().get();
  for (auto& frame : arrival->frames) {
    if (!clients_.contains(number)) return;  // dropped by a frame before
    on_frame(client, std::move(frame));
  }
}

void Server::on_frame(Client& client, Frame frame) {
  ByteReader reader(frame.body);
  if (frame.type == FrameType::kHello) {
    if (reader.get<uint32_t>() != kWireVersion || !reader.done()) return drop(client);
    client.greeted = true;
    return say(client, FrameBuilder(FrameType::kWelcome)
                           .number(kWireVersion)
                           .number(static_cast<int32_t>(::getpid()))
                           .build());
  }
  if (!client.greeted) return drop(client);
  if (frame.type == FrameType::kSettle) {
    const auto sequence = reader.get<uint64_t>();
    const auto outcome = static_cast<Outcome>(reader.get<uint8_t>());
    if (reader.done() && owns_session(client)) session_->settle(sequence, outcome);
    return;
  }
  const auto request = reader.get<uint32_t>();
  if (!reader.ok()) return drop(client);
  if (client.refusal) return reply(client, request, failure(*client.refusal));
  switch (frame.type) {
    case FrameType::kCapabilities:
      return on_capabilities(client, request);
    case FrameType::kOpenSession:
      return on_open(client, request, static_cast<SessionKind>(reader.get<uint8_t>()));
    case FrameType::kAppend:
      return on_append(client, request, frame);
    case FrameType::kRelease:
      return on_release(client, request);
    case FrameType::kFileHandle:
    case FrameType::kPublish: {
      const auto bundle = reader.get_text(kMaxNameText);
      const auto uri = reader.get_text(kMaxNameText);
      if (!reader.done()) return drop(client);
      if (!owns_session(client)) return reply(client, request, failure(no_session()));
      if (frame.type == FrameType::kFileHandle) {
        return reply(client, request, session_->file_handle(bundle, uri));
      }
      auto accepted = session_->publish(request, bundle, uri);
      if (!accepted) reply(client, request, accepted);
      return;
    }
    default:
      return drop(client);
  }
}

void Server::on_capabilities(Client& client, uint32_t request) {
  auto text = capabilities(root_, settings_);
  if (!text) return reply(client, request, failure(text.error()));
  const auto* bytes = reinterpret_cast<const uint8_t*>(text->data());
  auto file = sealed_memfd("capabilities", std::span(bytes, text->size()));
  if (!file) return reply(client, request, failure(file.error()));
  say(client, FrameBuilder(FrameType::kReply)
                  .number(request)
                  .error(std::nullopt)
                  .text("")
                  .fd(std::move(*file))
                  .build());
}

void Server::on_open(Client& client, uint32_t request, SessionKind kind) {
  if (session_) return reply(client, request, failure(conflict()));
  if (kind != SessionKind::kBackup && kind != SessionKind::kRestore) {
    return reply(client, request,
                 failure(Code::kInvalidArgument, "this service has no such kind of session"));
  }
  Session::Hooks hooks;
  hooks.tell = [this](Frame frame) {
    if (holder_ != nullptr) say(*holder_, std::move(frame));
  };
  // Later: the session is still on the stack when it says so.
  hooks.ended = [this] {
    (void)loop_.call_at(std::chrono::steady_clock::now(), [this] { session_ended(); });
  };
  session_ = std::make_unique<Session>(kind, root_, settings_, loop_, std::move(hooks));
  holder_ = &client;
  holder_pid_ = client.peer.pid;
  since_ = std::chrono::steady_clock::now();
  reply(client, request, {});
}

Error Server::conflict() const {
  const auto age = std::chrono::steady_clock::now() - since_;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(age).count();
  return {Code::kSessionConflict, 0,
          "a " + std::string(kKindNames.at(static_cast<size_t>(session_->kind()))) +
              " session of process " + std::to_string(holder_pid_) + " is open since " +
              std::to_string(seconds) + " s" +
              (holder_ == nullptr || release_request_ ? " and is finishing" : "")};
}

void Server::on_append(Client& client, uint32_t request, const Frame& frame) {
  if (!owns_session(client)) return reply(client, request, failure(no_session()));
  if (frame.fds.empty()) return drop(client);
  auto list = read_sealed(frame.fds[0].borrow(), kMaxListBytes);
  if (!list) return reply(client, request, failure(list.error().in("the list of bundles")));
  auto requests = decode_list(*list);
  if (!requests) return reply(client, request, failure(requests.error()));
  Bytes capability_file;
  if (frame.fds.size() > 1) {
    auto bytes = read_sealed(frame.fds[1].borrow(), kMaxListBytes);
    if (!bytes) return reply(client, request, failure(bytes.error().in("the capability file")));
    capability_file = std::move(*bytes);
  }
  const std::string text(capability_file.begin(), capability_file.end());
  reply(client, request, session_->append(std::move(*requests), text));
}

void Server::on_release(Client& client, uint32_t request) {
  if (!owns_session(client)) return reply(client, request, failure(no_session()));
  release_request_ = request;
  session_->release();
}

void Server::session_ended() {
  session_.reset();
  Client* holder = std::exchange(holder_, nullptr);
  const auto request = std::exchange(release_request_, std::nullopt);
  if (holder != nullptr && request) reply(*holder, *request, {});
  check_idle();
}

bool Server::owns_session(const Client& client) const {
  return session_ && holder_ == &client && !release_request_;
}

void Server::say(Client& client, Frame frame) {
  auto queued = client.channel.queue(std::move(frame));
  // A broken connection is seen, and dropped, by its own event.
  if (!queued) return;
  if (client.channel.has_queued()) {
    (void)loop_.change(client.channel.socket(), EPOLLIN | EPOLLOUT);
  }
}

void Server::reply(Client& client, uint32_t request, const Result<void>& result) {
  std::optional<Error> error;
  if (!result) error = result.error();
  say(client, FrameBuilder(FrameType::kReply).number(request).error(error).text("").build());
}

// The client has gone, or broke the grammar: as if it had released.
void Server::drop(Client& client) {
  loop_.forget(client.channel.socket());
  if (holder_ == &client) {
    holder_ = nullptr;
    release_request_.reset();
    session_->release();
  }
  clients_.erase(client.channel.socket().get());
  check_idle();
}

void Server::shut_down() {
  while (!clients_.empty()) drop(*clients_.begin()->second);
  check_idle();
}

void Server::check_idle() {
  if (is_idle()) idle_();
}

}  // namespace backupkit
