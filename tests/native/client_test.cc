// A client that several threads use, and a service that says yes to all.
#include "backupkit/client.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "native/io/unix_socket.h"
#include "native/protocol/channel.h"
#include "tests/native/census.h"

namespace backupkit {
namespace {

constexpr int kThreads = 4;
constexpr uint32_t kRequests = 50;  // of each thread

Frame answer(const Frame& frame) {
  if (frame.type == FrameType::kHello) {
    return FrameBuilder(FrameType::kWelcome).number(kWireVersion).number(int32_t{0}).build();
  }
  return FrameBuilder(FrameType::kReply)
      .number(ByteReader(frame.body).get<uint32_t>())
      .error(std::nullopt)
      .text("")
      .build();
}

// Until the client has gone.
void serve(BorrowedFd listener) {
  auto socket = accept_seqpacket(listener);
  ASSERT_TRUE(socket && set_nonblocking(socket->borrow(), false));
  const Channel channel(std::move(*socket));
  for (;;) {
    auto arrival = channel.receive();
    ASSERT_TRUE(arrival) << arrival.error().message();
    if (arrival->receipt == Receipt::kEnd) return;
    for (const auto& frame : arrival->frames) {
      if (frame.type == FrameType::kSettle) continue;
      if (!channel.send(answer(frame))) return;
    }
  }
}

class ClientTest : public Census {
 protected:
  void SetUp() override {
    Census::SetUp();
    const ScratchDirectory scratch;
    auto listener = listen_seqpacket(scratch / "socket", 0600);
    ASSERT_TRUE(listener && set_nonblocking(listener->borrow(), false));
    service_ = std::jthread([socket = std::move(*listener)] { serve(socket.borrow()); });
    auto client = Client::connect(scratch / "socket");
    ASSERT_TRUE(client) << client.error().message();
    client_ = std::move(*client);
  }

  void TearDown() override {
    client_.reset();
    service_.join();
    Census::TearDown();
  }

  std::unique_ptr<Client> client_;

 private:
  std::jthread service_;
};

TEST_F(ClientTest, requests_of_several_threads_are_answered_while_one_awaits) {
  std::multiset<uint32_t> answered;
  std::vector<std::jthread> threads;
  for (uint32_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (uint32_t i = 0; i < kRequests; ++i) {
        const uint32_t request = thread * kRequests + i;
        EXPECT_TRUE(i % 2 == 0 ? client_->version(request) : client_->metrics(request));
        EXPECT_TRUE(client_->settle(std::array{Settled{request, 0}}));
      }
    });
  }
  while (answered.size() < size_t{kThreads} * kRequests) {
    auto batch = client_->await();
    ASSERT_TRUE(batch && *batch) << "the service has gone";
    const auto frames = decode_message((*batch)->frames, std::move((*batch)->fds));
    ASSERT_TRUE(frames) << frames.error().message();
    for (const auto& frame : *frames) {
      ASSERT_EQ(frame.type, FrameType::kReply);
      answered.insert(ByteReader(frame.body).get<uint32_t>());
    }
  }
  for (uint32_t request = 0; request < kThreads * kRequests; ++request) {
    EXPECT_EQ(answered.count(request), 1U) << request;
  }
}

TEST_F(ClientTest, shutting_down_ends_what_every_thread_does) {
  std::latch busy(kThreads + 1);
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      EXPECT_TRUE(client_->version(1));
      busy.count_down();
      auto asked = client_->version(1);
      while (asked) asked = client_->version(1);
      EXPECT_EQ(asked.error().code, Code::kIpc) << asked.error().message();
    });
  }
  threads.emplace_back([&] {
    auto batch = client_->await();
    busy.count_down();
    while (batch && *batch) batch = client_->await();
    EXPECT_TRUE(batch) << batch.error().message();
  });
  busy.wait();
  client_->shut_down();
  client_->shut_down();
}

}  // namespace
}  // namespace backupkit
