// Any messages of a service to a client: events that follow the grammar, or the end with an error.
//
//   input = room message*       ; how many descriptors find room at the client, 255: all
//   message = descriptors length[2] bytes
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backupkit/client.h"
#include "backupkit/event.h"
#include "native/io/unix_socket.h"
#include "native/protocol/channel.h"
#include "tests/fuzz/before_recvmsg.h"
#include "tests/fuzz/fuzzer.h"
#include "tests/native/scratch_directory.h"

namespace backupkit {
namespace {

// Where clients connect.
struct Listener {
  ScratchDirectory scratch{memory_directory()};
  std::string path = scratch / "socket";
  UniqueFd socket = listen_seqpacket(path, 0600).value();
};

// A service that says what the input has, one message whenever the client waits for one.
class Service {
 public:
  Service(const Listener& listener, ByteReader script) : listener_(listener), script_(script) {
    before_recvmsg = [this](int) { speak(); };
  }
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  ~Service() { before_recvmsg = nullptr; }

 private:
  void speak() {
    if (!socket_) socket_ = accept_seqpacket(listener_.socket.borrow()).value();
    hear();
    while (script_.left() > 0) {
      if (say_next()) return;
    }
    socket_->reset();
  }

  // False: that is nothing which can be sent.
  bool say_next() {
    const auto descriptors = script_.get<uint8_t>();
    const size_t length = script_.get<uint16_t>();
    const auto bytes = script_.take(std::min(length, script_.left()));
    const UniqueFd file = memory_file();
    const std::vector<BorrowedFd> fds(descriptors % (kMaxFds + 1), file.borrow());
    return !bytes.empty() && send_message(socket_->borrow(), bytes, fds).has_value();
  }

  // Whatever a client says follows the grammar.
  void hear() const {
    Incoming said;
    for (;;) {
      const auto receipt = receive_message(socket_->borrow(), said, false);
      if (!receipt || *receipt != Receipt::kMessage) return;
      check(decode_message(said.bytes, std::move(said.fds)).has_value());
    }
  }

  const Listener& listener_;
  ByteReader script_;
  std::optional<UniqueFd> socket_;
};

// What a program does with what comes.
void take(Client& client, EventBatch batch) {
  const auto events = read_events(std::move(batch));
  if (!events) return client.shut_down();
  std::vector<Settled> settled;
  for (const auto& event : *events) {
    if (event.kind == EventKind::kFileReady) settled.push_back({event.sequence, 0});
  }
  (void)client.settle(settled);  // the service may have gone
}

void listen_to(ByteReader script) {
  static const Listener listener;
  const NothingLeftOpen census;
  const auto room = script.get<uint8_t>();
  room_for_descriptors = room == UINT8_MAX ? -1 : room;
  const Service service(listener, script);
  const auto client = Client::connect(listener.path);
  while (client) {
    auto batch = (*client)->await();
    if (!batch) check(batch.error().code == Code::kIpc);
    if (!batch || !*batch) break;
    take(**client, std::move(**batch));
  }
}

}  // namespace
}  // namespace backupkit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  backupkit::listen_to(backupkit::ByteReader({data, size}));
  return 0;
}
