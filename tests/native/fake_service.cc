// A service that fails as a test wants it: fake_service SOCKET FRAME CODE
//
// FRAME is the number of a frame in wire.h, CODE the error that frames of this type carry: for a
// request it is the Reply. Every other request succeeds, and an Append is followed by one bundle's
// BundleBegin, FileReady, BundleEnd and by AllEnd. Prints "ready" when it listens; serves one
// client and ends with it.
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "native/protocol/channel.h"
#include "tests/native/accept_one.h"

namespace backupkit {
namespace {

constexpr const char* kBundle = "com.example.fake";
class FakeService {
 public:
  FakeService(UniqueFd socket, FrameType failing, Error error)
      : channel_(std::move(socket)), failing_(failing), error_(std::move(error)) {}

  Result<void> serve() const;

 private:
  [[nodiscard]] Result<void> answer(const Frame& frame) const;
  [[nodiscard]] Result<void> tell_session() const;
  [[nodiscard]] Result<void> send(const Frame& frame) const;
  [[nodiscard]] std::optional<Error> error_of(FrameType type) const {
    return type == failing_ ? std::optional(error_) : std::nullopt;
  }

  Channel channel_;
  FrameType failing_;
  Error error_;
};

Result<void> FakeService::serve() const {
  for (;;) {
    auto arrival = channel_.receive();
    if (!arrival) return failure(arrival.error());
    if (arrival->receipt == Receipt::kEnd) return {};
    for (const auto& frame : arrival->frames) {
      if (auto answered = answer(frame); !answered) return answered;
    }
  }
}

Result<void> FakeService::answer(const Frame& frame) const {
  if (frame.type == FrameType::kHello) {
    return send(FrameBuilder(FrameType::kWelcome).number(kWireVersion).number(0).build());
  }
  if (frame.type == FrameType::kSettle) return {};
  ByteReader reader(frame.body);
  const auto error = error_of(frame.type);
  auto reply = FrameBuilder(FrameType::kReply);
  reply.number(reader.get<uint32_t>()).error(error).text("");
  if (auto sent = send(reply.build()); !sent) return sent;
  return frame.type == FrameType::kAppend && !error ? tell_session() : Result<void>{};
}

Result<void> FakeService::tell_session() const {
  const auto event = [this](FrameType type) {
    return FrameBuilder(type).text(kBundle).error(error_of(type)).build();
  };
  if (auto sent = send(event(FrameType::kBundleBegin)); !sent) return sent;
  if (auto sent = send(FrameBuilder(FrameType::kFileReady)
                           .number(uint64_t{1})
                           .text(kBundle)
                           .text("part.0.tar")
                           .error(error_of(FrameType::kFileReady))
                           .build());
      !sent) {
    return sent;
  }
  if (auto sent = send(event(FrameType::kBundleEnd)); !sent) return sent;
  return send(FrameBuilder(FrameType::kAllEnd).error(error_of(FrameType::kAllEnd)).build());
}

Result<void> FakeService::send(const Frame& frame) const {
  auto sent = channel_.send(frame);
  if (!sent) return failure(sent.error());
  return {};
}

int run(std::span<char*> arguments) {
  constexpr size_t kCount = 4;
  if (arguments.size() != kCount) return EXIT_FAILURE;
  auto socket = accept_one(arguments[1]);
  if (!socket || !set_nonblocking(socket->borrow(), false)) return EXIT_FAILURE;
  const auto failing = static_cast<FrameType>(std::stoi(arguments[2]));
  Error error{static_cast<Code>(std::stoi(arguments[3])), 0, "as the test wants it"};
  const FakeService service(std::move(*socket), failing, std::move(error));
  // A client that goes away in the middle is its end, too.
  (void)service.serve();
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace backupkit

int main(int argc, char** argv) {
  return backupkit::run(std::span(argv, static_cast<size_t>(argc)));
}
