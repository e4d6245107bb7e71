#include "backupkit/event.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "native/base/bytes.h"
#include "native/io/tmpfile.h"
#include "native/protocol/wire.h"
#include "tests/native/census.h"
#include "tests/native/open_descriptors.h"

namespace backupkit {
namespace {

using EventTest = Census;

const Error kFull{Code::kNoSpace, 0, "the disk of 'com.example.app' is full"};

UniqueFd some_file() { return sealed_memfd("some", {}).value(); }

EventBatch batch_of(std::vector<Frame> frames) {
  EventBatch batch;
  for (auto& frame : frames) {
    const Bytes bytes = encode(frame);
    batch.frames.insert(batch.frames.end(), bytes.begin(), bytes.end());
    for (auto& fd : frame.fds) batch.fds.push_back(std::move(fd));
  }
  return batch;
}

Event event_of(FrameBuilder& frame) {
  std::vector<Frame> frames;
  frames.push_back(frame.build());
  auto events = read_events(batch_of(std::move(frames)));
  EXPECT_TRUE(events && events->size() == 1);
  return events && events->size() == 1 ? std::move(events->front()) : Event{};
}

// One of every kind, with an error where it can have one.
std::vector<Frame> one_of_each() {
  std::vector<Frame> frames;
  frames.push_back(reply_frame(5, kFull, "text"));
  frames.push_back(FrameBuilder(FrameType::kFileReady)
                       .number(uint64_t{7})
                       .text("com.example.app")
                       .text("part.0.tar")
                       .error(kFull)
                       .build());
  for (const auto type : {FrameType::kBundleBegin, FrameType::kBundleEnd}) {
    frames.push_back(FrameBuilder(type).text("com.example.app").error(kFull).build());
  }
  frames.push_back(FrameBuilder(FrameType::kAllEnd).error(kFull).build());
  for (const auto type : {FrameType::kResultReport, FrameType::kProcess}) {
    frames.push_back(FrameBuilder(type).text("com.example.app").text("{}").build());
  }
  frames.push_back(FrameBuilder(FrameType::kSizeReport).text("{}").build());
  return frames;
}

TEST_F(EventTest, reply_hasItsRequestAndItsFile) {
  const Event event = event_of(FrameBuilder(FrameType::kReply)
                                   .number(uint32_t{5})
                                   .error(std::nullopt)
                                   .text("0.1")
                                   .fd(some_file()));
  EXPECT_EQ(event.kind, EventKind::kReply);
  EXPECT_EQ(event.request, 5U);
  EXPECT_EQ(event.text, "0.1");
  EXPECT_FALSE(event.error);
  EXPECT_EQ(event.fds.size(), 1U);
}

TEST_F(EventTest, fileReady_hasItsNamesAndItsDescriptorsInOrder) {
  UniqueFd file = some_file();
  UniqueFd manifest = some_file();
  struct stat first{};
  ASSERT_EQ(::fstat(file.get(), &first), 0);
  const Event event = event_of(FrameBuilder(FrameType::kFileReady)
                                   .number(uint64_t{7})
                                   .text("com.example.app")
                                   .text("part.0.tar")
                                   .error(std::nullopt)
                                   .fd(std::move(file))
                                   .fd(std::move(manifest)));
  EXPECT_EQ(event.kind, EventKind::kFileReady);
  EXPECT_EQ(event.sequence, 7U);
  EXPECT_EQ(event.bundle, "com.example.app");
  EXPECT_EQ(event.uri, "part.0.tar");
  EXPECT_FALSE(event.error);
  ASSERT_EQ(event.fds.size(), 2U);
  struct stat got{};
  ASSERT_EQ(::fstat(event.fds[0].get(), &got), 0);
  EXPECT_EQ(got.st_ino, first.st_ino);
}

TEST_F(EventTest, everyKind_hasWhatItWasSentWith) {
  const auto events = read_events(batch_of(one_of_each()));
  ASSERT_TRUE(events);
  ASSERT_EQ(events->size(), 8U);
  for (size_t i = 0; i < events->size(); ++i) {
    const Event& event = (*events)[i];
    EXPECT_EQ(event.kind, static_cast<EventKind>(i));
    EXPECT_EQ(event.request, event.kind == EventKind::kReply ? 5U : 0U) << i;
    const bool has_error = event.kind <= EventKind::kAllEnd;
    ASSERT_EQ(event.error.has_value(), has_error) << i;
    if (has_error) {
      EXPECT_EQ(event.error->code, Code::kNoSpace) << i;
      EXPECT_EQ(event.error->message(), kFull.message()) << i;
    }
    const bool has_bundle = event.kind != EventKind::kReply && event.kind != EventKind::kAllEnd &&
                            event.kind != EventKind::kSizeReport;
    EXPECT_EQ(event.bundle, has_bundle ? "com.example.app" : "") << i;
    const std::string text = event.kind == EventKind::kReply ? "text" : has_error ? "" : "{}";
    EXPECT_EQ(event.text, text) << i;
  }
}

TEST_F(EventTest, whatALaterServiceSays_isLeftOut) {
  std::vector<Frame> frames = one_of_each();
  frames.insert(frames.begin(), FrameBuilder(static_cast<FrameType>(63)).text("new").build());
  const auto events = read_events(batch_of(std::move(frames)));
  ASSERT_TRUE(events);
  EXPECT_EQ(events->size(), one_of_each().size());
}

TEST_F(EventTest, everyTruncatedBody_isRefusedAndItsDescriptorIsClosed) {
  for (const Frame& whole : one_of_each()) {
    for (size_t size = 0; size < whole.body.size(); ++size) {
      const auto open = open_descriptors();
      std::vector<Frame> frames(1);
      frames[0].type = whole.type;
      frames[0].body.assign(whole.body.begin(), whole.body.begin() + static_cast<ptrdiff_t>(size));
      frames[0].fds.push_back(some_file());
      const auto events = read_events(batch_of(std::move(frames)));
      ASSERT_FALSE(events) << static_cast<int>(whole.type) << ' ' << size;
      EXPECT_EQ(events.error().code, Code::kIpc);
      EXPECT_EQ(open_descriptors(), open);
    }
  }
}

TEST_F(EventTest, aTextThatIsTooLong_isNamed) {
  std::vector<Frame> frames;
  frames.push_back(
      FrameBuilder(FrameType::kSizeReport).text(std::string(kMaxText + 1, 'x')).build());
  const auto events = read_events(batch_of(std::move(frames)));
  ASSERT_FALSE(events);
  EXPECT_TRUE(events.error().message().contains("type 40 has a text of more than 32768 bytes"))
      << events.error().message();
}

}  // namespace
}  // namespace backupkit
