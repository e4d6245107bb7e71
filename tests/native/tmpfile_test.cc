#include "native/io/tmpfile.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "tests/native/census.h"
#include "tests/native/tree.h"

namespace backupkit {
namespace {

// Unnamed files are made in both ways.
class Tmpfile : public Census, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    Census::SetUp();
    force_named_files(GetParam());
  }
  void TearDown() override {
    force_named_files(false);
    Census::TearDown();
  }
};
INSTANTIATE_TEST_SUITE_P(BothWays, Tmpfile, ::testing::Bool());

using SealedFile = Census;
using ReadFile = Census;
using WritersOf = Census;
using GiveName = Census;

TEST_P(Tmpfile, unnamed_file_has_no_name_and_its_owner_only) {
  const ScratchDirectory scratch;
  const mode_t mask = ::umask(0);
  const auto file = unnamed_file(scratch.fd());
  ::umask(mask);
  ASSERT_TRUE(file);
  struct stat status{};
  ASSERT_EQ(::fstat(file->get(), &status), 0);
  EXPECT_EQ(status.st_nlink, 0U);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  EXPECT_EQ(::fcntl(file->get(), F_GETFL) & O_ACCMODE, O_RDWR);
  EXPECT_TRUE(is_close_on_exec(file->borrow()));
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
}

TEST_P(Tmpfile, readonly_reopen_is_the_same_file_and_cannot_write) {
  const ScratchDirectory scratch;
  const auto file = unnamed_file(scratch.fd()).value();
  ASSERT_EQ(::write(file.get(), "abc", 3), 3);
  const auto reopened = reopen_readonly(file.borrow()).value();
  EXPECT_TRUE(is_close_on_exec(reopened.borrow()));
  EXPECT_EQ(::lseek(reopened.get(), 0, SEEK_CUR), 0);
  EXPECT_EQ(read_file(reopened.borrow(), 3).value(), (Bytes{'a', 'b', 'c'}));
  EXPECT_EQ(::write(reopened.get(), "d", 1), -1);
  EXPECT_EQ(errno, EBADF);
}

TEST_F(SealedFile, holds_its_bytes_and_takes_no_others) {
  const Bytes bytes(100000, 42);
  const auto sealed = sealed_memfd("test", bytes).value();
  EXPECT_TRUE(is_close_on_exec(sealed.borrow()));
  EXPECT_EQ(::lseek(sealed.get(), 0, SEEK_CUR), 0);
  EXPECT_EQ(read_sealed(sealed.borrow(), bytes.size()).value(), bytes);
  EXPECT_EQ(::lseek(sealed.get(), 0, SEEK_CUR), 0);
  EXPECT_EQ(read_sealed(sealed.borrow(), bytes.size() - 1).error().code, Code::kInvalidArgument);
  const auto link = "/proc/self/fd/" + std::to_string(sealed.get());
  const UniqueFd writable(::open(link.c_str(), O_RDWR | O_CLOEXEC));
  if (writable.is_open()) {
    EXPECT_EQ(::pwrite(writable.get(), "x", 1, 0), -1);
    EXPECT_EQ(::ftruncate(writable.get(), 1), -1);
    EXPECT_EQ(::fcntl(writable.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
  }
}

TEST_F(SealedFile, may_be_empty) {
  const auto sealed = sealed_memfd("test", {}).value();
  EXPECT_EQ(read_sealed(sealed.borrow(), 0).value(), Bytes{});
}

TEST_F(SealedFile, every_missing_seal_is_refused) {
  for (const int missing : {F_SEAL_WRITE, F_SEAL_SHRINK, F_SEAL_GROW}) {
    const UniqueFd file(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    const int seals = (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) & ~missing;
    ASSERT_EQ(::fcntl(file.get(), F_ADD_SEALS, seals), 0);
    EXPECT_EQ(read_sealed(file.borrow(), 100).error().code, Code::kInvalidArgument);
  }
  const ScratchDirectory scratch;
  const auto plain = unnamed_file(scratch.fd()).value();
  EXPECT_EQ(read_sealed(plain.borrow(), 100).error().code, Code::kInvalidArgument);
}

TEST_F(ReadFile, reads_from_the_start_whatever_the_position) {
  const ScratchDirectory scratch;
  const auto file = unnamed_file(scratch.fd()).value();
  EXPECT_EQ(read_file(file.borrow(), 0).value(), Bytes{});
  const Bytes bytes(200001, 3);
  ASSERT_EQ(::write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  EXPECT_EQ(read_file(file.borrow(), bytes.size()).value(), bytes);
  EXPECT_EQ(::lseek(file.get(), 0, SEEK_CUR), static_cast<off_t>(bytes.size()));
  EXPECT_EQ(read_file(file.borrow(), bytes.size() - 1).error().code, Code::kInvalidArgument);
}

TEST_F(ReadFile, of_one_that_is_too_long_says_the_limit) {
  const ScratchDirectory scratch;
  const UniqueFd file(::open((scratch / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::ftruncate(file.get(), 1000), 0);
  EXPECT_EQ(read_file(file.borrow(), 1000).value().size(), 1000U);
  const auto read = read_file(file.borrow(), 999);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::kInvalidArgument);
  EXPECT_EQ(read.error().context, "it has more than 999 bytes");
}

TEST_F(ReadFile, reads_what_says_its_size_is_0) {
  const UniqueFd status(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  EXPECT_GT(read_file(status.borrow(), 1000000).value().size(), 100U);
  EXPECT_EQ(read_file(status.borrow(), 10).error().code, Code::kInvalidArgument);
}

TEST_F(ReadFile, directory_is_an_error) {
  const ScratchDirectory scratch;
  EXPECT_EQ(read_file(scratch.fd(), 1000000).error().sys_errno, EISDIR);
}

TEST_F(WritersOf, are_seen_as_long_as_they_have_it_open) {
  const ScratchDirectory scratch;
  const auto path = scratch / "file";
  UniqueFd writer(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const UniqueFd reader(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd other_reader(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(writers_of(reader.borrow()), Writers::kSome);
  writer.reset();
  EXPECT_EQ(writers_of(reader.borrow()), Writers::kNone);
  EXPECT_EQ(::fcntl(reader.get(), F_GETLEASE), F_UNLCK);
  writer.reset(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK));
  EXPECT_TRUE(writer.is_open());
  EXPECT_EQ(writers_of(reader.borrow()), Writers::kSome);
}

TEST_F(WritersOf, of_an_unnamed_file_are_seen) {
  const ScratchDirectory scratch;
  auto writer = unnamed_file(scratch.fd()).value();
  const auto reader = reopen_readonly(writer.borrow()).value();
  EXPECT_EQ(writers_of(reader.borrow()), Writers::kSome);
  writer.reset();
  EXPECT_EQ(writers_of(reader.borrow()), Writers::kNone);
}

TEST_F(WritersOf, are_unknown_where_there_are_no_leases) {
  const ScratchDirectory scratch;
  EXPECT_EQ(writers_of(scratch.fd()), Writers::kUnknown);
  EXPECT_EQ(writers_of(BorrowedFd(-1)).error().sys_errno, EBADF);
}

TEST_F(WritersOf, looking_for_them_makes_SIGIO_harmless) {
  const ScratchDirectory scratch;
  (void)writers_of(scratch.fd());
  struct sigaction action{};
  ASSERT_EQ(::sigaction(SIGIO, nullptr, &action), 0);
  EXPECT_EQ(action.sa_handler, SIG_IGN);
}

// One that a peer has written, and may look at only.
UniqueFd received_file(const ScratchDirectory& scratch) {
  const auto file = unnamed_file(scratch.fd()).value();
  EXPECT_EQ(::write(file.get(), "abc", 3), 3);
  return reopen_readonly(file.borrow()).value();
}

TEST_F(GiveName, makes_the_same_file_ours_alone) {
  const ScratchDirectory scratch;
  const auto file = received_file(scratch);
  ASSERT_EQ(::fchmod(file.get(), 0666), 0);
  ASSERT_EQ(give_name(file.borrow(), scratch / "name"), true);
  struct stat given{};
  struct stat named{};
  ASSERT_EQ(::fstat(file.get(), &given), 0);
  ASSERT_EQ(::stat((scratch / "name").c_str(), &named), 0);
  EXPECT_EQ(named.st_ino, given.st_ino);
  EXPECT_EQ(named.st_mode, mode_t{S_IFREG | 0600});
  EXPECT_EQ(named.st_uid, ::geteuid());
  EXPECT_EQ(named.st_gid, ::getegid());
  EXPECT_EQ(named.st_nlink, 1U);
}

TEST_F(GiveName, an_app_that_made_it_cannot_write_it_any_more) {
  if (::geteuid() != 0) GTEST_SKIP() << "another owner needs root";
  constexpr uid_t kApp = 12345;
  const ScratchDirectory scratch;
  const auto file = received_file(scratch);
  ASSERT_EQ(::fchown(file.get(), kApp, kApp), 0);
  ASSERT_EQ(give_name(file.borrow(), scratch / "name"), true);
  const pid_t app = ::fork();
  if (app == 0) {
    const auto self = "/proc/self/fd/" + std::to_string(file.get());
    const bool is_dropped =
        ::setresgid(kApp, kApp, kApp) == 0 && ::setresuid(kApp, kApp, kApp) == 0;
    ::_exit(is_dropped && ::open(self.c_str(), O_RDWR | O_CLOEXEC) < 0 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(app, &status, 0), app);
  EXPECT_EQ(status, 0);
}

TEST_F(GiveName, leaves_alone_what_somebody_may_change) {
  const ScratchDirectory scratch;
  const auto writer = unnamed_file(scratch.fd()).value();
  const auto reader = reopen_readonly(writer.borrow()).value();
  EXPECT_EQ(give_name(reader.borrow(), scratch / "name"), false);
  make_file(scratch / "other", "abc");
  const UniqueFd named(::open((scratch / "other").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(give_name(named.borrow(), scratch / "name"), false);
  EXPECT_FALSE(std::filesystem::exists(scratch / "name"));
}

TEST_F(GiveName, leaves_alone_what_can_have_none_there) {
  const ScratchDirectory scratch;
  const auto memory = sealed_memfd("test", Bytes{1}).value();
  EXPECT_EQ(give_name(memory.borrow(), scratch / "name"), false);
  force_named_files(true);
  EXPECT_EQ(give_name(received_file(scratch).borrow(), scratch / "name"), false);
  force_named_files(false);
  EXPECT_FALSE(std::filesystem::exists(scratch / "name"));
}

TEST_F(GiveName, replaces_nothing) {
  const ScratchDirectory scratch;
  make_file(scratch / "name", "old");
  const auto given = give_name(received_file(scratch).borrow(), scratch / "name");
  EXPECT_EQ(given.error().sys_errno, EEXIST);
  EXPECT_EQ(std::filesystem::file_size(scratch / "name"), 3U);
}

}  // namespace
}  // namespace backupkit
