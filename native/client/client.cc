#include "backupkit/client.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/base/syscall.h"
#include "native/io/process.h"
#include "native/io/tmpfile.h"
#include "native/io/unix_socket.h"
#include "native/protocol/channel.h"

namespace backupkit {
namespace {

constexpr int kRetryMillis = 10;
constexpr size_t kMaxCopied = size_t{1} << 30;  // a manifest of some millions of entries
constexpr size_t kMaxManifests = 250;           // beside the list, in one message

Error broken(std::string_view why) {
  return {Code::kIpc, 0, "backup service: " + std::string(why)};
}

Result<void> send_frames(std::mutex& sending, BorrowedFd socket, const Message& message) {
  const std::scoped_lock lock(sending);
  for (;;) {
    auto sent = send_message(socket, message.bytes(), message.fds());
    if (!sent && sent.error().code == Code::kClosed)
      return failure(broken("the connection is closed"));
    if (!sent) return failure(sent.error().in("backup service"));
    if (*sent == Sent::kAll) return {};
    // Nothing tells when fewer descriptors are in flight: then only the time limits the wait.
    const bool has_room = *sent == Sent::kTooManyInFlight;
    pollfd writable{socket.get(), static_cast<int16_t>(has_room ? 0 : POLLOUT), 0};
    if (retry([&] { return ::poll(&writable, 1, has_room ? kRetryMillis : -1); }) < 0) {
      return errno_failure("poll");
    }
  }
}

Result<void> send_frame(std::mutex& sending, BorrowedFd socket, const Frame& frame) {
  Message message;
  message.add(frame);
  return send_frames(sending, socket, message);
}

Frame settle_frame(const Settled& file) {
  return FrameBuilder(FrameType::kSettle).number(file.sequence).number(file.outcome).build();
}

Result<UniqueFd> sealed_copy(BorrowedFd file, const char* what) {
  auto bytes = read_file(file, kMaxCopied);
  if (!bytes) return failure(bytes.error().in(what));
  return sealed_memfd(what, *bytes);
}

FrameBuilder request_frame(FrameType type, uint32_t request) {
  FrameBuilder builder(type);
  builder.number(request);
  return builder;
}

}  // namespace

struct Client::Service {
  Child process;
};

Client::Client(UniqueFd socket, std::unique_ptr<Service> service)
    : socket_(std::move(socket)), service_(std::move(service)) {}

Client::~Client() {
  socket_.reset();
  // The service sees the end of the connection and ends by itself.
  if (service_) (void)reap(service_->process);
}

Result<std::unique_ptr<Client>> Client::connect(const std::string& path) {
  auto socket = connect_seqpacket(path);
  if (!socket) {
    Error error = socket.error().in("backup service at '" + path + "'");
    error.code = Code::kIpc;
    return failure(std::move(error));
  }
  std::unique_ptr<Client> client(new Client(std::move(*socket), nullptr));
  if (auto greeted = client->greet(); !greeted) return failure(greeted.error());
  return client;
}

Result<std::unique_ptr<Client>> Client::embed(const std::string& backupd, const std::string& root) {
  auto pair = seqpacket_pair();
  if (!pair) return failure(pair.error());
  auto child = spawn(backupd, {"--embedded", "--root", root}, pair->second.borrow());
  if (!child) return failure(child.error().in("start of '" + backupd + "'"));
  pair->second.reset();
  auto service = std::make_unique<Service>(Service{std::move(*child)});
  std::unique_ptr<Client> client(new Client(std::move(pair->first), std::move(service)));
  if (auto greeted = client->greet(); !greeted) return failure(greeted.error());
  return client;
}

Result<void> Client::greet() {
  auto hello =
      FrameBuilder(FrameType::kHello).number(kWireVersion).number(affordable_window()).build();
  auto sent = send_frame(sending_, socket_.borrow(), hello);
  // A service that refused has closed already; its reason is still to be read.
  if (!sent && sent.error().code != Code::kIpc) return sent;
  auto batch = await();
  if (!batch) return failure(batch.error());
  auto& welcome = *batch;
  if (!welcome) return sent ? failure(broken("ended before its welcome")) : sent;
  auto frames = decode_message(welcome->frames, std::move(welcome->fds));
  if (!frames || frames->empty()) return failure(broken("sent no welcome"));
  ByteReader reader(frames->front().body);
  const auto first = reader.get<uint32_t>();
  if (frames->front().type == FrameType::kReply) {
    if (auto reason = read_error(reader)) return failure(*reason);
  }
  if (frames->front().type != FrameType::kWelcome || first != kWireVersion) {
    return failure(broken("speaks another version"));
  }
  service_pid_ = reader.get<int32_t>();
  return {};
}

// Whether something arrives in that time, or the end does.
Result<bool> Client::is_there(std::chrono::milliseconds patience) const {
  pollfd readable{socket_.get(), POLLIN, 0};
  const auto time = static_cast<int>(patience.count());
  const int ready = retry([&] { return ::poll(&readable, 1, time); });
  if (ready < 0) return errno_failure("poll");
  return ready > 0;
}

Result<std::optional<EventBatch>> Client::await(std::optional<std::chrono::milliseconds> patience) {
  Incoming incoming;
  auto receipt = receive_message(socket_.borrow(), incoming, !patience);
  if (patience && receipt && *receipt == Receipt::kWouldBlock) {
    auto there = is_there(*patience);
    if (!there) return failure(there.error());
    if (!*there) return EventBatch{};
    receipt = receive_message(socket_.borrow(), incoming);
  }
  if (!receipt) return failure(receipt.error());
  if (*receipt != Receipt::kMessage) return std::nullopt;
  if (incoming.truncated) return without_fds(incoming.bytes);
  return EventBatch{std::move(incoming.bytes), std::move(incoming.fds)};
}

// A message whose descriptors found no room here: its files are refused, and come again.
Result<std::optional<EventBatch>> Client::without_fds(std::span<const uint8_t> message) {
  auto frames = decode_message(message, {}, true);
  if (!frames) return failure(frames.error());
  ByteWriter left;
  std::vector<Settled> refused;
  for (auto& frame : *frames) {
    ByteReader reader(frame.body);
    if (frame.lost_fds && frame.type == FrameType::kFileReady) {
      refused.push_back({reader.get<uint64_t>(), static_cast<uint8_t>(Outcome::kRefused)});
      continue;
    }
    if (frame.lost_fds && frame.type == FrameType::kReply) {
      const Error full{Code::kOutOfMemory, EMFILE,
                       "no descriptor is free for what the service answered"};
      frame = FrameBuilder(FrameType::kReply)
                  .number(reader.get<uint32_t>())
                  .error(full)
                  .text("")
                  .build();
    }
    backupkit::append(frame, left);
  }
  if (auto told = settle(refused); !told) return failure(told.error());
  return EventBatch{left.take(), {}};
}

void Client::shut_down() {
  // Fails when the peer has closed before: the aim is reached.
  (void)::shutdown(socket_.get(), SHUT_RDWR);
}

Result<void> Client::capabilities(uint32_t request, bool measured, std::span<const uint8_t> times) {
  auto builder = request_frame(FrameType::kCapabilities, request);
  builder.number(static_cast<uint8_t>(measured));
  if (!times.empty()) {
    auto sealed = sealed_memfd("times", times);
    if (!sealed) return failure(sealed.error());
    builder.fd(std::move(*sealed));
  }
  return send_frame(sending_, socket_.borrow(), builder.build());
}

Result<void> Client::version(uint32_t request) {
  return send_frame(sending_, socket_.borrow(),
                    request_frame(FrameType::kVersion, request).build());
}

Result<void> Client::metrics(uint32_t request) {
  return send_frame(sending_, socket_.borrow(),
                    request_frame(FrameType::kMetrics, request).build());
}

Result<void> Client::app_call(uint32_t request, uint8_t call, const std::string& bundle,
                              std::span<const uint8_t> argument) {
  auto sealed = sealed_memfd("argument", argument);
  if (!sealed) return failure(sealed.error());
  return send_frame(sending_, socket_.borrow(),
                    request_frame(FrameType::kAppCall, request)
                        .number(call)
                        .text(bundle)
                        .fd(std::move(*sealed))
                        .build());
}

Result<void> Client::data_size(uint32_t request, bool precise, std::span<const uint8_t> times) {
  auto sealed = sealed_memfd("times", times);
  if (!sealed) return failure(sealed.error());
  return send_frame(sending_, socket_.borrow(),
                    request_frame(FrameType::kDataSize, request)
                        .number(static_cast<uint8_t>(precise))
                        .fd(std::move(*sealed))
                        .build());
}

Result<void> Client::open_session(uint32_t request, uint8_t kind) {
  return send_frame(sending_, socket_.borrow(),
                    request_frame(FrameType::kOpenSession, request).number(kind).build());
}

Result<void> Client::append(uint32_t request, bool more, std::span<const uint8_t> list,
                            BorrowedFd capability_file, std::span<const BorrowedFd> manifests) {
  if (manifests.size() > kMaxManifests) {
    return failure(Code::kInvalidArgument, "too many manifests in one append");
  }
  auto builder = request_frame(FrameType::kAppend, request);
  builder.number(static_cast<uint8_t>(more));
  auto sealed = sealed_memfd("bundles", list);
  if (!sealed) return failure(sealed.error());
  builder.fd(std::move(*sealed));
  if (capability_file.is_open()) {
    auto copy = sealed_copy(capability_file, "capability file");
    if (!copy) return failure(copy.error());
    builder.fd(std::move(*copy));
  }
  for (const auto& manifest : manifests) {
    auto copy = sealed_copy(manifest, "manifest");
    if (!copy) return failure(copy.error());
    builder.fd(std::move(*copy));
  }
  return send_frame(sending_, socket_.borrow(), builder.build());
}

Result<void> Client::file_handle(uint32_t request, const std::string& bundle,
                                 const std::string& uri) {
  return send_frame(sending_, socket_.borrow(),
                    request_frame(FrameType::kFileHandle, request).text(bundle).text(uri).build());
}

Result<void> Client::publish(uint32_t request, const std::string& bundle, const std::string& uri,
                             BorrowedFd content) {
  auto builder = request_frame(FrameType::kPublish, request);
  builder.text(bundle).text(uri);
  if (content.is_open()) {
    UniqueFd copy(::fcntl(content.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy.is_open()) return errno_failure("the file to publish");
    builder.fd(std::move(copy));
  }
  return send_frame(sending_, socket_.borrow(), builder.build());
}

Result<void> Client::update_timer(uint32_t request, const std::string& bundle,
                                  int32_t milliseconds) {
  return send_frame(
      sending_, socket_.borrow(),
      request_frame(FrameType::kUpdateTimer, request).text(bundle).number(milliseconds).build());
}

Result<void> Client::update_rate(uint32_t request, const std::string& bundle,
                                 int32_t files_per_second) {
  return send_frame(
      sending_, socket_.borrow(),
      request_frame(FrameType::kUpdateRate, request).text(bundle).number(files_per_second).build());
}

Result<void> Client::cancel(uint32_t request, const std::string& bundle) {
  return send_frame(sending_, socket_.borrow(),
                    request_frame(FrameType::kCancel, request).text(bundle).build());
}

Result<void> Client::release(uint32_t request) {
  return send_frame(sending_, socket_.borrow(),
                    request_frame(FrameType::kRelease, request).build());
}

Result<void> Client::settle(std::span<const Settled> files) {
  Message message;
  for (const auto& file : files) {
    const auto frame = settle_frame(file);
    if (!message.fits(frame)) {
      if (auto sent = send_frames(sending_, socket_.borrow(), message); !sent) return sent;
      message.clear();
    }
    message.add(frame);
  }
  return message.is_empty() ? Result<void>{} : send_frames(sending_, socket_.borrow(), message);
}

}  // namespace backupkit
