#include "native/service/handover.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <string>
#include <utility>
#include <vector>

#include "native/io/unix_socket.h"
#include "tests/native/census.h"

namespace backupkit {
namespace {

class HandoverTest : public Census {
 protected:
  static bool is_for_client(UniqueFd file, SessionKind kind) {
    EXPECT_TRUE(file.is_open());
    std::vector<UniqueFd> files;
    files.push_back(std::move(file));
    return Handover(kind).is_good(files);
  }

  [[nodiscard]] UniqueFd open_file(int flags) const {
    return UniqueFd(::open((scratch_ / "file").c_str(), flags | O_CREAT | O_CLOEXEC, 0600));
  }

  const ScratchDirectory scratch_;
};

TEST_F(HandoverTest, a_file_goes_to_a_client_in_the_mode_that_the_session_needs) {
  for (const auto kind : {SessionKind::kBackup, SessionKind::kIncremental}) {
    EXPECT_TRUE(is_for_client(open_file(O_RDONLY), kind));
    EXPECT_FALSE(is_for_client(open_file(O_RDWR), kind));
    EXPECT_FALSE(is_for_client(open_file(O_WRONLY), kind));
  }
  EXPECT_TRUE(is_for_client(open_file(O_RDWR), SessionKind::kRestore));
  EXPECT_FALSE(is_for_client(open_file(O_RDONLY), SessionKind::kRestore));
  EXPECT_FALSE(is_for_client(open_file(O_WRONLY), SessionKind::kRestore));
  EXPECT_TRUE(is_for_client(UniqueFd(::memfd_create("file", MFD_CLOEXEC)), SessionKind::kRestore));
}

TEST_F(HandoverTest, what_is_no_file_or_could_block_does_not) {
  ASSERT_TRUE(open_file(O_RDONLY).is_open());
  ASSERT_EQ(::mkfifo((scratch_ / "fifo").c_str(), 0600), 0);
  for (const auto kind : {SessionKind::kBackup, SessionKind::kRestore}) {
    const int mode = (kind == SessionKind::kRestore ? O_RDWR : O_RDONLY) | O_CLOEXEC;
    EXPECT_FALSE(
        is_for_client(UniqueFd(::open((scratch_ / "fifo").c_str(), mode | O_NONBLOCK)), kind));
    EXPECT_FALSE(is_for_client(UniqueFd(::open("/dev/null", mode)), kind));
    EXPECT_FALSE(is_for_client(UniqueFd(::open("/proc/self/comm", mode)), kind));
    EXPECT_FALSE(is_for_client(open_file(O_PATH), kind));
    EXPECT_FALSE(is_for_client(std::move(seqpacket_pair().value().first), kind));
  }
  EXPECT_FALSE(
      is_for_client(UniqueFd(::open(scratch_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
                    SessionKind::kBackup));
}

TEST_F(HandoverTest, nothing_comes_beside_a_file_but_its_manifest) {
  std::vector<UniqueFd> files;
  EXPECT_TRUE(Handover(SessionKind::kBackup).is_good(files)) << "an error has none";
  for (const bool is_good : {true, true, false}) {
    files.push_back(open_file(O_RDONLY));
    EXPECT_EQ(Handover(SessionKind::kBackup).is_good(files), is_good) << files.size();
  }
}

}  // namespace
}  // namespace backupkit
