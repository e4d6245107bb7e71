#include "native/protocol/wire.h"

#include <gtest/gtest.h>

#include "native/io/unix_socket.h"

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
  const Bytes second = encode(FrameBuilder(FrameType::kHello).number(uint32_t{3}).build());
  message.insert(message.end(), second.begin(), second.end());
  const auto frames = decode_message(message, {});
  ASSERT_TRUE(frames.has_value());
  ASSERT_EQ(frames->size(), 2U);
  EXPECT_EQ(frames->back().type, FrameType::kHello);
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

std::vector<BundleRequest> sample_list() {
  std::vector<BundleRequest> list(2);
  list[0].name = "a";
  list[0].source = "old";
  list[0].app_info = "[1]";
  list[0].options = "{}";
  list[0].priority = -5;
  list[0].last_time = 1'700'107'870;
  list[0].has_manifest = true;
  list[1].name = "b";
  return list;
}

TEST(Wire, list_comesBackAsItWas) {
  const auto list = decode_list(encode_list(sample_list()));
  ASSERT_TRUE(list && list->size() == 2);
  EXPECT_EQ(list->at(0).name, "a");
  EXPECT_EQ(list->at(0).source, "old");
  EXPECT_EQ(list->at(0).app_info, "[1]");
  EXPECT_EQ(list->at(0).options, "{}");
  EXPECT_EQ(list->at(0).priority, -5);
  EXPECT_EQ(list->at(0).last_time, 1'700'107'870);
  EXPECT_TRUE(list->at(0).has_manifest);
  EXPECT_FALSE(list->at(1).has_manifest);
}

TEST(Wire, list_refusesTruncationSurplusAndHugeCounts) {
  Bytes bytes = encode_list(sample_list());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_list(std::span(bytes).first(size)).has_value()) << size;
  }
  bytes.push_back(0);
  EXPECT_FALSE(decode_list(bytes).has_value());
  ByteWriter huge;
  huge.put(UINT32_MAX);
  EXPECT_FALSE(decode_list(huge.bytes()).has_value());
  EXPECT_FALSE(decode_times(huge.bytes()).has_value());
}

TEST(Wire, aListHasAtMost100000Bundles) {
  std::vector<BundleRequest> list(kMaxBundles);
  std::vector<BundleTime> times(kMaxBundles);
  EXPECT_TRUE(decode_list(encode_list(list)).has_value());
  EXPECT_TRUE(decode_times(encode_times(times)).has_value());
  list.emplace_back();
  times.emplace_back();
  EXPECT_EQ(decode_list(encode_list(list)).error().context, "a list has at most 100000 bundles");
  EXPECT_EQ(decode_times(encode_times(times)).error().context, "a list has at most 100000 bundles");
}

TEST(Wire, aTextThatIsTooLong_isToldFromWhatBreaksTheGrammar) {
  const Frame frame = FrameBuilder(FrameType::kReport).text(std::string(kMaxText, 'x')).build();
  ByteReader whole(frame.body);
  EXPECT_EQ(whole.get_text(kMaxText).size(), kMaxText);
  EXPECT_TRUE(whole.done());
  ByteReader longer(frame.body);
  EXPECT_EQ(longer.get_text(kMaxText - 1), "");
  EXPECT_FALSE(longer.ok());
  EXPECT_EQ(wrong_with(longer), "has a text of more than 32767 bytes");
  ByteReader shorter(std::span(frame.body).first(100));
  EXPECT_EQ(shorter.get_text(kMaxText), "");
  EXPECT_EQ(wrong_with(shorter), "breaks the protocol");
}

TEST(Wire, times_comeBackAsTheyWere) {
  const std::vector<BundleTime> times = {{"a", 5}, {"b", -1}};
  const auto got = decode_times(encode_times(times));
  ASSERT_TRUE(got && got->size() == 2);
  EXPECT_EQ(got->at(0).name, "a");
  EXPECT_EQ(got->at(1).seconds, -1);
  EXPECT_TRUE(decode_times(encode_times({}))->empty());
}

TEST(Wire, ofATruncatedMessageTheFramesThatHadDescriptorsSaySo) {
  auto pair = seqpacket_pair();
  ASSERT_TRUE(pair.has_value());
  ByteWriter message;
  message.put_bytes(encode(FrameBuilder(FrameType::kAllEnd).error(std::nullopt).build()));
  message.put_bytes(encode(FrameBuilder(FrameType::kFile)
                               .number(uint64_t{7})
                               .text("a")
                               .error(std::nullopt)
                               .fd(std::move(pair->first))
                               .build()));
  const auto frames = decode_message(message.bytes(), {}, true);
  ASSERT_TRUE(frames && frames->size() == 2);
  EXPECT_FALSE(frames->at(0).lost_fds);
  EXPECT_TRUE(frames->at(1).lost_fds);
  EXPECT_FALSE(decode_message(message.bytes(), {}).has_value());
}

}  // namespace
}  // namespace backupkit
