#include "native/io/slow_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "native/io/unix_socket.h"
#include "tests/native/census.h"

namespace backupkit {
namespace {

using SlowFilesTest = Census;

TEST_F(SlowFilesTest, what_is_not_known_to_be_quick_is_marked) {
  const ScratchDirectory scratch;
  auto pair = seqpacket_pair().value();
  SlowFiles slow;
  for (int round = 0; round < 2; ++round) {
    std::vector<UniqueFd> files;
    files.emplace_back(::memfd_create("memory", MFD_CLOEXEC));
    files.emplace_back(::open((scratch / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    files.emplace_back(::open(scratch.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    files.emplace_back(::fcntl(pair.first.get(), F_DUPFD_CLOEXEC, 0));
    files.emplace_back(::open("/proc/self/status", O_PATH | O_CLOEXEC));
    files.emplace_back(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
    slow.mark(files);
    std::vector<bool> marked;
    for (const auto& file : files) {
      EXPECT_TRUE(file.is_open());
      marked.push_back(file.closes_aside());
    }
    EXPECT_EQ(marked, (std::vector<bool>{false, false, false, false, false, true}));
    ASSERT_EQ(::close(files.back().release()), 0);  // before the census
  }
}

TEST_F(SlowFilesTest, what_is_received_is_marked_before_anything_is_closed) {
  auto pair = seqpacket_pair().value();
  const UniqueFd status(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  const std::array<uint8_t, 1> byte{1};
  ASSERT_EQ(send_message(pair.first.borrow(), byte, std::array{status.borrow()}), Sent::kAll);
  Incoming message;
  SlowFiles slow;
  ASSERT_EQ(receive_message(pair.second.borrow(), message, true, &slow), Receipt::kMessage);
  ASSERT_EQ(message.fds.size(), 1U);
  EXPECT_TRUE(message.fds[0].closes_aside());
  ASSERT_EQ(::close(message.fds[0].release()), 0);
}

TEST_F(SlowFilesTest, what_is_marked_is_closed_all_the_same_and_by_its_last_owner) {
  auto pair = seqpacket_pair().value();
  UniqueFd first = std::move(pair.first);
  first.close_aside();
  UniqueFd second(std::move(first));
  EXPECT_TRUE(second.closes_aside());
  UniqueFd third;
  third = std::move(second);
  EXPECT_TRUE(third.closes_aside());
  third.reset();
  Incoming message;
  EXPECT_EQ(receive_message(pair.second.borrow(), message), Receipt::kEnd);
}

}  // namespace
}  // namespace backupkit
