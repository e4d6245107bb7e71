#include "native/io/process.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <utility>

#include "native/base/sanitized.h"
#include "native/io/apart_thread.h"
#include "native/io/open_now.h"
#include "native/io/unix_socket.h"
#include "tests/native/census.h"
#include "tests/native/descriptor_limit.h"

namespace backupkit {
namespace {

using Process = Census;

// Whether spawn() waits until the program is there, as it does by vfork(2). qemu-user makes that a
// fork(2), and the C library then cannot hear from the child.
bool spawn_waits() {
  volatile bool is_shared = false;
  const pid_t child = ::vfork();
  if (child == 0) {
    is_shared = true;
    ::_exit(0);
  }
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  return is_shared;
}

constexpr auto kNoVfork = "vfork(2) is no more than a fork(2) here";

// What a shell script on the other side of the channel, its descriptor 3, says until it ends.
std::string said_by(const std::string& script, const SpawnOptions& options = {}) {
  auto ends = seqpacket_pair().value();
  auto child = spawn("/bin/sh", {"-c", script}, ends.second.borrow(), options).value();
  ends.second.reset();
  std::string said;
  Incoming incoming;
  while (receive_message(ends.first.borrow(), incoming).value() == Receipt::kMessage) {
    said.append(incoming.bytes.begin(), incoming.bytes.end());
  }
  EXPECT_EQ(reap(child).value(), 0);
  return said;
}

TEST_F(Process, is_started_apart_from_our_descriptors) {
  const UniqueFd ours(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  auto ends = seqpacket_pair().value();
  const auto thread = ApartThread::start().value();
  const auto has_sockets_alone = [](BorrowedFd channel) {
    EXPECT_EQ(send_message(channel, std::array<uint8_t, 1>{1}, {}), Sent::kAll);
    const auto open = open_now().value();
    for (const int fd : open) {
      struct stat found{};
      if (fd <= STDERR_FILENO || ::fstat(fd, &found) != 0) continue;  // that listing itself
      EXPECT_TRUE(S_ISSOCK(found.st_mode)) << fd;
    }
  };
  EXPECT_TRUE(thread->run(ends.second.borrow(), has_sockets_alone));
  EXPECT_FALSE(thread->run(BorrowedFd(-1), has_sockets_alone));
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  const rlim_t before = std::exchange(files.rlim_cur, 0);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
  EXPECT_FALSE(thread->run(ends.second.borrow(), has_sockets_alone)) << "it got there";
  files.rlim_cur = before;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
  EXPECT_TRUE(thread->run(ends.second.borrow(), has_sockets_alone));
}

TEST_F(Process, is_not_started_apart_where_there_is_no_room_to_see_the_descriptors) {
  const DescriptorLimit limit(2);  // for the sockets alone
  EXPECT_EQ(ApartThread::start().error().sys_errno, EMFILE);
}

TEST_F(Process, is_the_same_when_it_is_started_apart) {
  if (!spawn_waits()) GTEST_SKIP() << kNoVfork;
  ASSERT_TRUE(spawn_apart(true).has_value());
  EXPECT_EQ(said_by("echo hello >&3"), "hello\n");
  EXPECT_EQ(spawn("/nowhere/program", {}, BorrowedFd(0)).error().sys_errno, ENOENT);
  EXPECT_EQ(said_by("echo hello >&3"), "hello\n");
  ASSERT_TRUE(spawn_apart(false).has_value());
}

TEST_F(Process, channel_is_descriptor_3) { EXPECT_EQ(said_by("echo hello >&3"), "hello\n"); }

// Keeps descriptor 3 of this process, whatever it is, and brings it back at the end.
class Borrowed3 {
 public:
  explicit Borrowed3(BorrowedFd instead)
      : kept_(::fcntl(3, F_DUPFD_CLOEXEC, 10)),
        was_close_on_exec_(is_close_on_exec(BorrowedFd(3))) {
    EXPECT_EQ(::dup3(instead.get(), 3, O_CLOEXEC), 3);
  }
  ~Borrowed3() {
    if (kept_.is_open()) {
      EXPECT_EQ(::dup3(kept_.get(), 3, was_close_on_exec_ ? O_CLOEXEC : 0), 3);
    } else {
      EXPECT_EQ(::close(3), 0);
    }
  }
  Borrowed3(const Borrowed3&) = delete;
  Borrowed3& operator=(const Borrowed3&) = delete;

 private:
  UniqueFd kept_;
  bool was_close_on_exec_;
};

TEST_F(Process, channel_that_is_3_already_stays_open) {
  auto ends = seqpacket_pair().value();
  const UniqueFd ours(::fcntl(ends.first.get(), F_DUPFD_CLOEXEC, 10));
  const UniqueFd theirs(::fcntl(ends.second.get(), F_DUPFD_CLOEXEC, 10));
  ends = {};
  const Borrowed3 channel(theirs.borrow());
  auto child = spawn("/bin/sh", {"-c", "echo three >&3"}, BorrowedFd(3)).value();
  EXPECT_TRUE(is_close_on_exec(BorrowedFd(3)));
  EXPECT_EQ(reap(child).value(), 0);
  Incoming incoming;
  EXPECT_EQ(receive_message(ours.borrow(), incoming).value(), Receipt::kMessage);
}

TEST_F(Process, nothing_else_is_open_also_what_is_not_close_on_exec) {
  const UniqueFd careless(::open("/dev/null", O_RDONLY));  // NOLINT: without O_CLOEXEC
  const UniqueFd high(::fcntl(careless.get(), F_DUPFD, 200));
  // The last one is the directory that ls itself reads.
  EXPECT_EQ(said_by("exec ls /proc/self/fd >&3"), "0\n1\n2\n3\n4\n");
  EXPECT_EQ(said_by("exec readlink /proc/self/fd/0 >&3"), "/dev/null\n");
}

TEST_F(Process, bare_child_has_no_environment_and_prints_nowhere) {
  const SpawnOptions bare{.is_bare = true};
  EXPECT_EQ(said_by("place=$(readlink /proc/$$/fd/1); echo $place >&3", bare), "/dev/null\n");
  if (kSanitized) GTEST_SKIP() << "a sanitizer's options are in the environment";
  EXPECT_NE(said_by("cat /proc/$$/environ >&3"), "");
  EXPECT_EQ(said_by("cat /proc/$$/environ >&3", bare), "");
}

TEST_F(Process, signal_mask_is_empty_and_actions_are_default) {
  sigset_t blocked;
  sigset_t before;
  sigfillset(&blocked);
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &blocked, &before), 0);
  const auto previous = ::signal(SIGPIPE, SIG_IGN);
  const auto said = said_by("grep -E 'Sig(Blk|Ign)' /proc/self/status >&3");
  ::signal(SIGPIPE, previous);
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
  unsigned long long mask = 1;
  unsigned long long ignored = 1;
  ASSERT_EQ(std::sscanf(said.c_str(), "SigBlk: %llx SigIgn: %llx", &mask, &ignored), 2) << said;
  EXPECT_EQ(mask, 0U);
  EXPECT_EQ(ignored & 0x7fffffffU, 0U);  // 32 and 33 are the C library's own
}

TEST_F(Process, child_leads_a_session_and_a_process_group_of_its_own) {
  if (!spawn_waits()) GTEST_SKIP() << kNoVfork;
  const auto ends = seqpacket_pair().value();
  auto child = spawn("/bin/sleep", {"60"}, ends.second.borrow()).value();
  EXPECT_EQ(::getsid(child.pid), child.pid);
  EXPECT_EQ(::getpgid(child.pid), child.pid);
  EXPECT_TRUE(is_close_on_exec(child.pidfd.borrow()));
  kill_child(child);
  EXPECT_EQ(reap(child).value(), 128 + SIGKILL);
  EXPECT_FALSE(child.pidfd.is_open());
  kill_child(child);
}

TEST_F(Process, kill_group_ends_what_the_child_has_started) {
  auto ends = seqpacket_pair().value();
  auto child = spawn("/bin/sh", {"-c", "sleep 600 & echo started >&3; wait"}, ends.second.borrow());
  ends.second.reset();
  Incoming incoming;
  ASSERT_EQ(receive_message(ends.first.borrow(), incoming).value(), Receipt::kMessage);
  kill_group(*child);
  EXPECT_EQ(reap(*child).value(), 128 + SIGKILL);
  // The sleep has the channel, too: it ends when both have.
  pollfd ended{ends.first.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&ended, 1, 10000), 1);
  EXPECT_EQ(receive_message(ends.first.borrow(), incoming).value(), Receipt::kEnd);
  kill_group(*child);
}

TEST_F(Process, pidfd_tells_the_end_and_reap_the_code) {
  const auto ends = seqpacket_pair().value();
  auto child = spawn("/bin/sh", {"-c", "exit 7"}, ends.second.borrow()).value();
  pollfd ended{child.pidfd.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&ended, 1, 10000), 1);
  EXPECT_EQ(reap(child).value(), 7);
}

TEST_F(Process, missing_program_is_an_error_and_leaves_no_child) {
  if (!spawn_waits()) GTEST_SKIP() << kNoVfork;
  const auto ends = seqpacket_pair().value();
  const auto child = spawn("/nowhere/program", {}, ends.second.borrow());
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().sys_errno, ENOENT);
}

TEST_F(Process, arguments_arrive_unchanged) {
  const auto ends = seqpacket_pair().value();
  auto child = spawn("/bin/sh", {"-c", "printf '<%s>' \"$@\" >&3", "name", "", "a b", "*\n"},
                     ends.second.borrow())
                   .value();
  EXPECT_EQ(reap(child).value(), 0);
  Incoming incoming;
  ASSERT_EQ(receive_message(ends.first.borrow(), incoming).value(), Receipt::kMessage);
  EXPECT_EQ(std::string(incoming.bytes.begin(), incoming.bytes.end()), "<><a b><*\n>");
}

}  // namespace
}  // namespace backupkit
