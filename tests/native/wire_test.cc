#include "native/protocol/wire.h"

#include <gtest/gtest.h>

#include "native/protocol/channel.h"

namespace backupkit {
namespace {

Frame sample() {
  return FrameBuilder(FrameType::kFileReady)
      .number(uint64_t{7})
      .text("com.example.app")
      .text("part.0.tar")
      .error(std::nullopt)
      .build();
}

TEST(Wire, frame_comesBackAsItWasBuilt) {
  const auto frames = decode_message(encode(sample()), {});
  ASSERT_TRUE(frames.has_value());
  ASSERT_EQ(frames->size(), 1U);
  EXPECT_EQ(frames->front().type, FrameType::kFileReady);
  ByteReader reader(frames->front().body);
  EXPECT_EQ(reader.get<uint64_t>(), 7U);
  EXPECT_EQ(reader.get_text(kMaxNameText), "com.example.app");
  EXPECT_EQ(reader.get_text(kMaxNameText), "part.0.tar");
  EXPECT_FALSE(read_error(reader).has_value());
  EXPECT_TRUE(reader.done());
}

TEST(Wire, message_holdsSeveralFrames) {
  Bytes message = encode(sample());
  const Bytes second = encode(FrameBuilder(FrameType::kCredit).number(uint32_t{3}).build());
  message.insert(message.end(), second.begin(), second.end());
  const auto frames = decode_message(message, {});
  ASSERT_TRUE(frames.has_value());
  ASSERT_EQ(frames->size(), 2U);
  EXPECT_EQ(frames->back().type, FrameType::kCredit);
}

TEST(Wire, everyTruncation_isRefused) {
  const Bytes whole = encode(sample());
  for (size_t size = 1; size < whole.size(); ++size) {
    EXPECT_FALSE(decode_message(std::span(whole).first(size), {}).has_value()) << size;
  }
}

TEST(Wire, everyFlippedByte_isRefusedOrGivesAFrame) {
  const Bytes whole = encode(sample());
  for (size_t at = 0; at < whole.size(); ++at) {
    Bytes flipped = whole;
    flipped[at] ^= 0xFF;
    const auto frames = decode_message(flipped, {});
    EXPECT_TRUE(!frames || frames->size() == 1) << at;
  }
}

TEST(Wire, descriptorsThatNoFrameClaims_areRefused) {
  auto pair = seqpacket_pair();
  ASSERT_TRUE(pair.has_value());
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(pair->first));
  const auto frames = decode_message(encode(sample()), std::move(fds));
  ASSERT_FALSE(frames.has_value());
  EXPECT_EQ(frames.error().code, Code::kIpc);
}

TEST(Wire, error_keepsCodeAndNamesTheErrno) {
  const Error sent = Error::from_errno(ENOSPC, "store of 'x'");
  const Frame frame = FrameBuilder(FrameType::kAllEnd).error(sent).build();
  ByteReader reader(frame.body);
  const auto got = read_error(reader);
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->code, Code::kNoSpace);
  EXPECT_NE(got->context.find("ENOSPC"), std::string::npos);
}

TEST(Wire, list_refusesSurplusAndHugeCounts) {
  ByteWriter writer;
  writer.put(uint32_t{1});
  writer.put_text("a");
  writer.put_text("");
  writer.put_text("");
  writer.put(int32_t{5});
  const auto list = decode_list(writer.bytes());
  ASSERT_TRUE(list.has_value());
  EXPECT_EQ(list->front().name, "a");
  EXPECT_EQ(list->front().priority, 5);
  writer.put(uint8_t{0});
  EXPECT_FALSE(decode_list(writer.bytes()).has_value());
  ByteWriter huge;
  huge.put(UINT32_MAX);
  EXPECT_FALSE(decode_list(huge.bytes()).has_value());
}

TEST(Channel, frames_waitUntilTheSocketTakesThem) {
  auto pair = seqpacket_pair();
  ASSERT_TRUE(pair.has_value());
  ASSERT_TRUE(set_nonblocking(pair->first.borrow(), true).has_value());
  Channel sender(std::move(pair->first));
  const Channel receiver(std::move(pair->second));
  uint64_t queued = 0;
  while (!sender.has_queued()) {
    ASSERT_TRUE(sender.queue(FrameBuilder(FrameType::kHello).number(queued++).build()));
  }
  for (uint64_t i = 0; i < queued; ++i) {
    auto arrival = receiver.receive();
    ASSERT_TRUE(arrival && arrival->receipt == Receipt::kMessage);
    ByteReader reader(arrival->frames.front().body);
    EXPECT_EQ(reader.get<uint64_t>(), i);
    ASSERT_TRUE(sender.flush().has_value());
  }
  EXPECT_FALSE(sender.has_queued());
}

}  // namespace
}  // namespace backupkit
