#include "native/extension/link.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/native/census.h"

namespace backupkit {
namespace {

using LinkTest = Census;

// An extension's end, and the service's.
class Talk {
 public:
  explicit Talk(std::optional<uint32_t> window, LinkTime time = {})
      : Talk(seqpacket_pair().value(), std::move(time)) {
    if (window) link->limit_window(*window);
  }

  // Sends one file after the other, each with a descriptor of its own.
  void send(uint64_t files) {
    for (; files > 0; --files) {
      std::vector<UniqueFd> fds;
      fds.emplace_back(
          ::open((scratch_ / std::to_string(++sent_)).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
      EXPECT_EQ(link->send_file("file", std::move(fds)).value(), sent_);
    }
  }

  // The files of each message that has come, by their sequences.
  std::vector<std::vector<uint64_t>> received() {
    std::vector<std::vector<uint64_t>> messages;
    for (;;) {
      auto arrival = service->receive(false);
      if (!arrival || arrival->receipt != Receipt::kMessage) return messages;
      auto& files = messages.emplace_back();
      for (const auto& frame : arrival->frames) files.push_back(sequence_of(frame));
    }
  }

  void settle(uint64_t sequence, Outcome outcome) const {
    EXPECT_TRUE(service->send(FrameBuilder(FrameType::kSettled)
                                  .number(sequence)
                                  .number(static_cast<uint8_t>(outcome))
                                  .build()));
  }

  std::optional<Link> link;
  std::optional<Channel> service;

 private:
  Talk(std::pair<UniqueFd, UniqueFd> pair, LinkTime time) {
    link.emplace(std::move(pair.first), std::move(time));
    service.emplace(std::move(pair.second));
  }

  // Of a file with its own descriptor; 0 of another frame.
  uint64_t sequence_of(const Frame& frame) {
    if (frame.type != FrameType::kFile) return 0;
    ByteReader reader(frame.body);
    const auto sequence = reader.get<uint64_t>();
    struct stat wanted{};
    struct stat found{};
    EXPECT_EQ(::stat((scratch_ / std::to_string(sequence)).c_str(), &wanted), 0);
    EXPECT_EQ(frame.fds.size(), 1U);
    EXPECT_EQ(::fstat(frame.fds.at(0).get(), &found), 0);
    EXPECT_EQ(found.st_ino, wanted.st_ino);
    return sequence;
  }

  const ScratchDirectory scratch_;
  uint64_t sent_ = 0;
};

using Messages = std::vector<std::vector<uint64_t>>;

TEST_F(LinkTest, files_go_together_when_they_are_a_third_of_the_window) {
  Talk talk(9);
  talk.send(2);
  EXPECT_EQ(talk.received(), Messages{});
  talk.send(1);
  EXPECT_EQ(talk.received(), (Messages{{1, 2, 3}}));
  talk.send(4);
  EXPECT_EQ(talk.received(), (Messages{{4, 5, 6}}));
}

TEST_F(LinkTest, where_few_may_be_under_way_each_file_goes_at_once) {
  Talk talk(2);
  talk.send(2);
  EXPECT_EQ(talk.received(), (Messages{{1}, {2}}));
}

TEST_F(LinkTest, what_is_said_after_a_file_takes_it_along) {
  Talk talk(30);
  talk.send(2);
  ASSERT_TRUE(talk.link->report("{}"));
  EXPECT_EQ(talk.received(), (Messages{{1, 2, 0}}));
}

TEST_F(LinkTest, nothing_is_kept_while_the_link_waits) {
  Talk talk(30);
  talk.send(1);
  ASSERT_FALSE(talk.link->next(std::chrono::milliseconds(0)).value());
  EXPECT_EQ(talk.received(), (Messages{{1}}));
  talk.send(2);
  talk.settle(1, Outcome::kTaken);
  ASSERT_TRUE(talk.link->await(BorrowedFd(), false, std::chrono::steady_clock::now()).value());
  EXPECT_EQ(talk.received(), (Messages{{2, 3}}));
  talk.send(1);
  ASSERT_TRUE(talk.service->send(FrameBuilder(FrameType::kFrozen).build()));
  ASSERT_TRUE(talk.link->hear());
  ASSERT_TRUE(talk.link->next());
  EXPECT_EQ(talk.received(), (Messages{{4}})) << "what was heard is worked on now";
}

TEST_F(LinkTest, a_check_keeps_what_is_said_before_its_answer) {
  Talk talk(30);
  ASSERT_TRUE(talk.service->send(FrameBuilder(FrameType::kHandle).text("file").build()));
  ASSERT_TRUE(talk.service->send(FrameBuilder(FrameType::kChecked).build()));
  ASSERT_TRUE(talk.link->check());
  EXPECT_EQ(talk.link->next().value().type, FrameType::kHandle);
  talk.service.reset();
  const auto gone = talk.link->check();
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Code::kClosed);
}

TEST_F(LinkTest, nothing_is_kept_for_longer_than_a_millisecond_of_work) {
  LinkTime::Clock::time_point time;
  Talk talk(30, {.now = [&] { return time; }});
  ASSERT_TRUE(talk.link->progress("pack", "a", 1, 1));
  EXPECT_EQ(talk.received(), (Messages{{0}})) << "a new phase";
  talk.send(1);
  time += std::chrono::microseconds(600);
  talk.send(1);
  ASSERT_TRUE(talk.link->progress("pack", "b", 2, 2));
  EXPECT_EQ(talk.received(), Messages{});
  time += std::chrono::microseconds(400);
  ASSERT_TRUE(talk.link->progress("pack", "c", 3, 3));
  EXPECT_EQ(talk.received(), (Messages{{1, 2}}));
}

TEST_F(LinkTest, nothing_is_kept_while_there_is_no_credit) {
  Talk talk(7);
  talk.send(7);
  EXPECT_EQ(talk.received(), (Messages{{1, 2}, {3, 4}, {5, 6}}));
  talk.settle(1, Outcome::kTaken);
  talk.send(1);
  EXPECT_EQ(talk.received(), (Messages{{7}}));
}

TEST_F(LinkTest, what_is_asked_for_in_one_message_goes_together) {
  Talk talk(std::nullopt);
  Message asked;
  const auto handle = FrameBuilder(FrameType::kHandle).text("file").build();
  for (int i = 0; i < 3; ++i) asked.add(handle);
  ASSERT_EQ(talk.service->send(asked).value(), Sent::kAll);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(talk.link->next().value().type, FrameType::kHandle);
    talk.send(1);
  }
  EXPECT_EQ(talk.received(), Messages{});
  ASSERT_FALSE(talk.link->next(std::chrono::milliseconds(0)).value());
  EXPECT_EQ(talk.received(), (Messages{{1, 2, 3}}));
}

TEST_F(LinkTest, refused_files_come_again_each_in_a_message_of_its_own) {
  Talk talk(9);
  talk.send(4);
  EXPECT_EQ(talk.received(), (Messages{{1, 2, 3}}));
  for (const uint64_t sequence : {1U, 2U, 3U}) talk.settle(sequence, Outcome::kRefused);
  ASSERT_TRUE(talk.link->hear());
  EXPECT_EQ(talk.received(), (Messages{{1}, {2}, {3}}));
  ASSERT_TRUE(talk.link->flush());
  EXPECT_EQ(talk.received(), (Messages{{4}}));
}

TEST_F(LinkTest, what_was_not_sent_cannot_be_settled) {
  for (const auto outcome : {Outcome::kTaken, Outcome::kClosed, Outcome::kRefused}) {
    Talk talk(9);
    talk.send(1);
    talk.settle(1, outcome);
    EXPECT_EQ(talk.link->hear().error().code, Code::kIpc);
  }
}

TEST_F(LinkTest, a_service_that_has_gone_is_told_and_nothing_is_waited_for) {
  Talk talk(9);
  talk.send(2);
  talk.service.reset();
  EXPECT_EQ(talk.link->flush().error().code, Code::kClosed);
  EXPECT_FALSE(talk.link->is_open(1));
  EXPECT_FALSE(talk.link->is_open(2));
  EXPECT_TRUE(talk.link->await_taken());
}

}  // namespace
}  // namespace backupkit
