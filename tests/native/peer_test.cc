#include "native/service/peer.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <vector>

#include "tests/native/census.h"

namespace backupkit {
namespace {

using PeerTest = Census;

Frame frame(uint32_t number) { return FrameBuilder(FrameType::kReply).number(number).build(); }

// A peer on a loop, and the other end.
class Talk {
 public:
  Talk() {
    auto pair = seqpacket_pair().value();
    far.emplace(std::move(pair.second));
    Peer::Handlers handlers;
    handlers.frame = [this](Frame frame) { on_frame(frame); };
    handlers.end = [this](const std::optional<Error>&) { loop->stop(); };
    peer = Peer::make(*loop, std::move(pair.first), std::move(handlers)).value();
  }

  // How many frames the next message has.
  size_t receive() {
    auto arrival = far->receive();
    EXPECT_TRUE(arrival && arrival->receipt == Receipt::kMessage);
    return arrival ? arrival->frames.size() : 0;
  }

  std::unique_ptr<Loop> loop = Loop::make().value();
  std::function<void(const Frame&)> on_frame = [](const Frame&) {};
  std::unique_ptr<Peer> peer;
  std::optional<Channel> far;
};

TEST_F(PeerTest, what_is_said_in_one_turn_is_one_message) {
  Talk talk;
  talk.on_frame = [&](const Frame&) {
    for (uint32_t i = 0; i < 5; ++i) talk.peer->say(frame(i));
  };
  ASSERT_TRUE(talk.far->send(frame(1)) && talk.far->send(frame(2)));
  ASSERT_TRUE(talk.loop->watch(talk.far->socket(), EPOLLIN, [&](uint32_t) { talk.loop->stop(); }));
  for (int message = 0; message < 2; ++message) {
    ASSERT_TRUE(talk.loop->run());
    EXPECT_EQ(talk.receive(), 5U);
  }
  talk.loop->forget(talk.far->socket());
}

TEST_F(PeerTest, what_is_said_last_is_sent_though_its_turn_does_not_end) {
  Talk talk;
  talk.peer->say(frame(1));
  talk.peer->say(frame(2));
  talk.peer.reset();
  EXPECT_EQ(talk.receive(), 2U);
}

TEST_F(PeerTest, a_turn_in_which_much_is_said_keeps_little_of_it) {
  Talk talk;
  for (uint32_t i = 0; i < 1000; ++i) talk.peer->say(frame(i));
  size_t came = 0;
  while (came < 800) came += talk.receive();
  EXPECT_LT(came, 1000U) << "the rest goes at the end of the turn";
}

TEST_F(PeerTest, one_for_whom_1024_frames_wait_is_behind) {
  Talk talk;
  while (talk.peer->waiting() < 1023) talk.peer->say(frame(1));
  EXPECT_FALSE(talk.peer->is_behind());
  talk.peer->say(frame(2));
  EXPECT_TRUE(talk.peer->is_behind());
}

TEST_F(PeerTest, one_for_whom_1_MiB_waits_is_behind) {
  const auto sized = [](size_t size) {
    const auto head = encoded_size(FrameBuilder(FrameType::kReport).text("").build());
    return FrameBuilder(FrameType::kReport).text(std::string(size - head, 'x')).build();
  };
  for (const bool is_full : {false, true}) {
    Talk talk;
    for (int i = 0; i < 31; ++i) talk.peer->say(sized(size_t{32} << 10U));
    talk.peer->say(sized((size_t{32} << 10U) - (is_full ? 0 : 1)));
    EXPECT_EQ(talk.peer->is_behind(), is_full);
  }
}

}  // namespace
}  // namespace backupkit
