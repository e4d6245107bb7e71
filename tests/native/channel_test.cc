#include "native/protocol/channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "tests/native/census.h"
#include "tests/native/descriptor_limit.h"

namespace backupkit {
namespace {

class ChannelTest : public Census {
 protected:
  ChannelTest() : ChannelTest(seqpacket_pair().value()) {}

  // A file of its own, and the frame that brings it so many times.
  Frame frame(uint64_t number, size_t descriptors) {
    const auto path = scratch_ / std::to_string(number);
    FrameBuilder builder(FrameType::kFile);
    builder.number(number);
    for (size_t i = 0; i < descriptors; ++i) {
      builder.fd(UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
    }
    return builder.build();
  }

  // What a frame says of itself, once its descriptors are those of its own file.
  uint64_t number_of(const Frame& frame, size_t descriptors) {
    ByteReader reader(frame.body);
    const auto number = reader.get<uint64_t>();
    EXPECT_EQ(frame.fds.size(), descriptors) << number;
    struct stat wanted{};
    if (descriptors > 0) {
      EXPECT_EQ(::stat((scratch_ / std::to_string(number)).c_str(), &wanted), 0);
    }
    for (const auto& fd : frame.fds) {
      struct stat found{};
      EXPECT_EQ(::fstat(fd.get(), &found), 0);
      EXPECT_EQ(found.st_ino, wanted.st_ino) << number;
    }
    return number;
  }

  void queue(Frame frame) { ASSERT_TRUE(sender_->queue(std::move(frame))); }

  std::vector<Frame> receive() {
    auto arrival = receiver_.receive();
    EXPECT_TRUE(arrival && arrival->receipt == Receipt::kMessage);
    return arrival ? std::move(arrival->frames) : std::vector<Frame>();
  }

  // Receives so many frames; gives how many were in each message.
  std::vector<size_t> receive_frames(uint64_t count, size_t descriptors) {
    std::vector<size_t> sizes;
    for (uint64_t next = 0; next < count;) {
      const auto frames = receive();
      sizes.push_back(frames.size());
      for (const auto& each : frames) EXPECT_EQ(number_of(each, descriptors), next++);
    }
    return sizes;
  }

  // The bytes of two frames in one message, that claim so many descriptors.
  Bytes two_frames(size_t first, size_t second) {
    Message message;
    const auto one = frame(1, first);
    const auto other = frame(2, second);
    message.add(one);
    message.add(other);
    return {message.bytes().begin(), message.bytes().end()};
  }

  // Sends the bytes with so many descriptors.
  void send_raw(const Bytes& bytes, size_t descriptors) {
    const std::vector<BorrowedFd> fds(descriptors, BorrowedFd(0));
    ASSERT_EQ(send_message(sender_->socket(), bytes, fds).value(), Sent::kAll);
  }

  const ScratchDirectory scratch_;
  std::optional<Channel> sender_;
  const Channel receiver_;

 private:
  explicit ChannelTest(std::pair<UniqueFd, UniqueFd> pair) : receiver_(std::move(pair.second)) {
    EXPECT_TRUE(set_nonblocking(pair.first.borrow(), true));
    sender_.emplace(std::move(pair.first));
  }
};

TEST_F(ChannelTest, frames_that_wait_go_together_each_with_its_own_descriptors) {
  const std::vector<size_t> descriptors{1, 0, 2, 1, 0, 3};
  for (size_t i = 0; i < descriptors.size(); ++i) queue(frame(i, descriptors[i]));
  ASSERT_EQ(sender_->flush().value(), Sent::kAll);
  EXPECT_EQ(sender_->queued(), 0U);
  const auto frames = receive();
  ASSERT_EQ(frames.size(), descriptors.size());
  for (size_t i = 0; i < frames.size(); ++i) EXPECT_EQ(number_of(frames[i], descriptors[i]), i);
}

TEST_F(ChannelTest, a_message_has_no_more_descriptors_than_the_kernel_carries) {
  for (uint64_t i = 0; i < 5; ++i) queue(frame(i, 100));
  ASSERT_EQ(sender_->flush().value(), Sent::kAll);
  EXPECT_EQ(receive_frames(5, 100), (std::vector<size_t>{2, 2, 1}));
}

TEST_F(ChannelTest, a_message_is_no_longer_than_its_receiver_takes) {
  const std::string text(kMaxText, 'x');
  for (int i = 0; i < 3; ++i) queue(FrameBuilder(FrameType::kReport).text(text).build());
  ASSERT_EQ(sender_->flush().value(), Sent::kAll);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(receive().size(), 1U) << "two are longer than kMaxMessage";
}

TEST_F(ChannelTest, a_frame_that_goes_alone_shares_no_message_and_keeps_its_place) {
  for (uint64_t i = 0; i < 5; ++i) {
    auto made = frame(i, 1);
    made.alone = i == 2;
    queue(std::move(made));
  }
  ASSERT_EQ(sender_->flush().value(), Sent::kAll);
  EXPECT_EQ(receive_frames(5, 1), (std::vector<size_t>{2, 1, 2}));
}

TEST_F(ChannelTest, what_the_socket_does_not_take_waits_with_its_descriptors) {
  uint64_t queued = 0;
  Result<Sent> sent = Sent::kAll;
  while (sent && *sent == Sent::kAll) {
    for (const size_t descriptors : {1U, 0U, 2U}) queue(frame(queued++, descriptors));
    sent = sender_->flush();
  }
  ASSERT_EQ(sent.value(), Sent::kNoRoom);
  EXPECT_EQ(sender_->queued(), 3U) << "all of the message or nothing";
  for (uint64_t next = 0; next < queued;) {
    for (const auto& each : receive()) {
      EXPECT_EQ(number_of(each, std::array{1U, 0U, 2U}.at(static_cast<size_t>(next % 3))), next);
      ++next;
    }
    ASSERT_TRUE(sender_->flush().has_value());
  }
  EXPECT_EQ(sender_->queued(), 0U);
}

TEST_F(ChannelTest, no_more_than_64_MiB_wait_for_a_peer) {
  const Frame frame = FrameBuilder(FrameType::kReply).text(std::string(kMaxText, 'x')).build();
  constexpr size_t kMost = size_t{64} << 20U;
  const size_t fit = kMost / encoded_size(frame);
  for (size_t i = 0; i < fit; ++i) {
    Frame copy;
    copy.type = frame.type;
    copy.body = frame.body;
    queue(std::move(copy));
  }
  EXPECT_EQ(sender_->queued_bytes(), fit * encoded_size(frame));
  Frame more;
  more.body = frame.body;
  EXPECT_EQ(sender_->queue(std::move(more)).error().code, Code::kOutOfMemory);
  ASSERT_TRUE(sender_->flush().has_value());
  EXPECT_EQ(sender_->queued_bytes(), sender_->queued() * encoded_size(frame));
}

TEST_F(ChannelTest, no_more_than_65536_frames_wait_for_a_peer) {
  for (uint32_t i = 0; i < 65'536; ++i) queue(FrameBuilder(FrameType::kRelease).number(i).build());
  const auto queued = sender_->queue(FrameBuilder(FrameType::kRelease).number(1).build());
  ASSERT_FALSE(queued);
  EXPECT_EQ(queued.error().code, Code::kOutOfMemory);
  EXPECT_TRUE(queued.error().message().contains("65536 frames")) << queued.error().message();
}

TEST_F(ChannelTest, without_room_for_all_descriptors_each_frame_that_had_one_says_so) {
  for (const size_t descriptors : {1U, 0U, 2U}) queue(frame(descriptors, descriptors));
  ASSERT_EQ(sender_->flush().value(), Sent::kAll);
  const auto before = open_descriptors();
  std::vector<Frame> frames;
  {
    const DescriptorLimit limit(2);
    frames = receive();
  }
  ASSERT_EQ(frames.size(), 3U);
  for (const auto& each : frames) EXPECT_TRUE(each.fds.empty());
  EXPECT_TRUE(frames[0].lost_fds);
  EXPECT_FALSE(frames[1].lost_fds);
  EXPECT_TRUE(frames[2].lost_fds);
  EXPECT_EQ(before, open_descriptors());
}

// Two frames that claim two descriptors and one, with as many as are given.
class Mismatch : public ChannelTest, public ::testing::WithParamInterface<size_t> {};

TEST_P(Mismatch, of_claimed_and_sent_descriptors_is_an_error_and_closes_all_that_came) {
  send_raw(two_frames(2, 1), GetParam());
  const auto before = open_descriptors();
  const auto arrival = receiver_.receive();
  if (GetParam() == 3) {
    ASSERT_TRUE(arrival.has_value());
    return;
  }
  ASSERT_FALSE(arrival.has_value());
  EXPECT_EQ(arrival.error().code, Code::kIpc);
  EXPECT_EQ(before, open_descriptors());
}
INSTANTIATE_TEST_SUITE_P(ChannelTest, Mismatch, ::testing::Values(0, 1, 2, 3, 4, kMaxFds));

TEST_F(ChannelTest, every_truncation_of_several_frames_closes_all_that_came) {
  const Bytes whole = two_frames(1, 1);
  const auto before = open_descriptors();
  for (size_t size = 1; size < whole.size(); ++size) {
    send_raw(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)), 2);
    EXPECT_FALSE(receiver_.receive().has_value()) << size;
  }
  EXPECT_EQ(before, open_descriptors());
}

TEST_F(ChannelTest, a_peer_that_is_gone_is_an_error_and_what_waits_is_closed_with_the_channel) {
  auto pair = seqpacket_pair().value();
  std::optional<Channel> sender(std::move(pair.first));
  const auto before = open_descriptors();
  ASSERT_TRUE(sender->queue(frame(1, 2)));
  ASSERT_TRUE(sender->queue(frame(2, 1)));
  pair.second.reset();
  EXPECT_EQ(sender->flush().error().code, Code::kClosed);
  EXPECT_EQ(sender->queued(), 2U);
  sender.reset();
  EXPECT_EQ(open_descriptors().size(), before.size() - 2);
}

}  // namespace
}  // namespace backupkit
