#include "native/io/copy.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <csignal>
#include <fstream>
#include <thread>

#include "native/io/tmpfile.h"
#include "native/io/unix_socket.h"
#include "tests/native/census.h"

namespace backupkit {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr std::array kRungs{Rung::kCopyFileRange, Rung::kSendfile, Rung::kSplice, Rung::kReadWrite};

// Bytes that show where they come from.
Bytes pattern(size_t size) {
  Bytes bytes(size);
  uint32_t state = 1;
  for (auto& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<uint8_t>(state >> 24);
  }
  return bytes;
}

UniqueFd file_of(const ScratchDirectory& scratch, const Bytes& bytes) {
  auto file = unnamed_file(scratch.fd()).value();
  EXPECT_EQ(::write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  EXPECT_EQ(::lseek(file.get(), 0, SEEK_SET), 0);
  return file;
}

off_t position(const UniqueFd& file) { return ::lseek(file.get(), 0, SEEK_CUR); }

struct Ends {
  UniqueFd read;
  UniqueFd write;
};

Ends pipe_ends() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Ends socket_ends() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// Writes into or reads out of the far end of a pipe or socket while a copy runs.
class FarEnd {
 public:
  static std::thread feed(UniqueFd& end, const Bytes& bytes) {
    return std::thread([&end, &bytes] {
      Copier copier(Rung::kReadWrite);
      const auto memory = sealed_memfd("feed", bytes).value();
      EXPECT_EQ(copier.copy(memory.borrow(), end.borrow()).value(), bytes.size());
      end.reset();
    });
  }
  static std::thread drain(UniqueFd& end, Bytes& bytes) {
    return std::thread([&end, &bytes] {
      std::array<uint8_t, 50000> buffer{};
      for (;;) {
        const auto size = ::read(end.get(), buffer.data(), buffer.size());
        if (size <= 0) return;
        bytes.insert(bytes.end(), buffer.data(), buffer.data() + size);
      }
    });
  }
};

class Copy : public Census, public ::testing::WithParamInterface<Rung> {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);
    Census::SetUp();
  }
};

std::string name_of(const ::testing::TestParamInfo<Rung>& chosen) {
  constexpr std::array kNames{"copy_file_range", "sendfile", "splice", "read_write"};
  return kNames.at(static_cast<size_t>(chosen.param));
}
INSTANTIATE_TEST_SUITE_P(Rungs, Copy, ::testing::ValuesIn(kRungs), name_of);

TEST_P(Copy, file_to_file_arrives_by_the_rung_that_was_asked) {
  const ScratchDirectory scratch;
  for (const auto size : std::to_array<size_t>({0, 1, 4095, 4096, 65537, 3000001})) {
    const auto bytes = pattern(size);
    const auto in = file_of(scratch, bytes);
    const auto out = file_of(scratch, {});
    Copier copier(GetParam());
    EXPECT_EQ(copier.copy(in.borrow(), out.borrow()).value(), size);
    EXPECT_EQ(read_file(out.borrow(), size).value(), bytes);
    EXPECT_EQ(position(in), static_cast<off_t>(size));
    EXPECT_EQ(position(out), static_cast<off_t>(size));
    EXPECT_EQ(copier.used(), GetParam());
    const bool in_kernel = GetParam() != Rung::kReadWrite;
    EXPECT_EQ(copier.moved_in_kernel(), in_kernel ? size : 0);
    EXPECT_EQ(copier.moved_through_user(), in_kernel ? 0 : size);
  }
}

TEST_P(Copy, limit_and_positions_are_kept) {
  const ScratchDirectory scratch;
  const auto bytes = pattern(300000);
  const auto in = file_of(scratch, bytes);
  const auto out = file_of(scratch, {});
  Copier copier(GetParam());
  ASSERT_EQ(::lseek(in.get(), 1000, SEEK_SET), 1000);
  EXPECT_EQ(copier.copy(in.borrow(), out.borrow(), 0).value(), 0U);
  EXPECT_EQ(copier.copy(in.borrow(), out.borrow(), 100001).value(), 100001U);
  EXPECT_EQ(position(in), 101001);
  EXPECT_EQ(copier.copy(in.borrow(), out.borrow(), 5).value(), 5U);
  EXPECT_EQ(read_file(out.borrow(), 200000).value(),
            Bytes(bytes.begin() + 1000, bytes.begin() + 101006));
}

TEST_P(Copy, file_to_pipe_and_socket) {
  const ScratchDirectory scratch;
  const auto bytes = pattern(2000003);
  for (const bool socket : {false, true}) {
    for (const bool nonblocking : {false, true}) {
      auto ends = socket ? socket_ends() : pipe_ends();
      ASSERT_TRUE(set_nonblocking(ends.write.borrow(), nonblocking));
      Bytes arrived;
      auto reader = FarEnd::drain(ends.read, arrived);
      const auto in = file_of(scratch, bytes);
      Copier copier(GetParam());
      EXPECT_EQ(copier.copy(in.borrow(), ends.write.borrow()).value(), bytes.size());
      ends.write.reset();
      reader.join();
      EXPECT_EQ(arrived, bytes);
      EXPECT_EQ(copier.moved_through_user() == 0, GetParam() != Rung::kReadWrite);
    }
  }
}

TEST_P(Copy, pipe_and_socket_to_file) {
  const ScratchDirectory scratch;
  const auto bytes = pattern(2000003);
  for (const bool socket : {false, true}) {
    for (const bool nonblocking : {false, true}) {
      auto ends = socket ? socket_ends() : pipe_ends();
      ASSERT_TRUE(set_nonblocking(ends.read.borrow(), nonblocking));
      auto writer = FarEnd::feed(ends.write, bytes);
      const auto out = file_of(scratch, {});
      Copier copier(GetParam());
      EXPECT_EQ(copier.copy(ends.read.borrow(), out.borrow()).value(), bytes.size());
      writer.join();
      EXPECT_EQ(read_file(out.borrow(), bytes.size()).value(), bytes);
      EXPECT_EQ(copier.moved_through_user() == 0, GetParam() != Rung::kReadWrite);
    }
  }
}

TEST_P(Copy, pipe_to_socket_and_socket_to_pipe) {
  const auto bytes = pattern(1000003);
  for (const bool from_socket : {false, true}) {
    auto in = from_socket ? socket_ends() : pipe_ends();
    auto out = from_socket ? pipe_ends() : socket_ends();
    Bytes arrived;
    auto writer = FarEnd::feed(in.write, bytes);
    auto reader = FarEnd::drain(out.read, arrived);
    Copier copier(GetParam());
    EXPECT_EQ(copier.copy(in.read.borrow(), out.write.borrow()).value(), bytes.size());
    out.write.reset();
    writer.join();
    reader.join();
    EXPECT_EQ(arrived, bytes);
  }
}

TEST_P(Copy, limit_leaves_the_rest_in_a_pipe) {
  const ScratchDirectory scratch;
  const auto ends = pipe_ends();
  ASSERT_EQ(::write(ends.write.get(), "0123456789", 10), 10);
  const auto out = file_of(scratch, {});
  Copier copier(GetParam());
  EXPECT_EQ(copier.copy(ends.read.borrow(), out.borrow(), 4).value(), 4U);
  std::array<char, 16> rest{};
  EXPECT_EQ(::read(ends.read.get(), rest.data(), rest.size()), 6);
  EXPECT_STREQ(rest.data(), "456789");
}

TEST_P(Copy, across_file_systems) {
  const ScratchDirectory here;
  const ScratchDirectory there("/dev/shm");
  const auto bytes = pattern(1500001);
  for (const bool outward : {true, false}) {
    const auto in = file_of(outward ? here : there, bytes);
    const auto out = file_of(outward ? there : here, {});
    Copier copier(GetParam());
    EXPECT_EQ(copier.copy(in.borrow(), out.borrow()).value(), bytes.size());
    EXPECT_EQ(read_file(out.borrow(), bytes.size()).value(), bytes);
    EXPECT_EQ(copier.moved_through_user() == 0, GetParam() != Rung::kReadWrite);
  }
}

TEST_P(Copy, appending_target_gets_everything_at_its_end) {
  const ScratchDirectory scratch;
  const auto bytes = pattern(600001);
  const auto in = file_of(scratch, bytes);
  std::ofstream(scratch / "log") << "head";
  const UniqueFd out(::open((scratch / "log").c_str(), O_RDWR | O_APPEND | O_CLOEXEC));
  Copier copier(GetParam());
  EXPECT_EQ(copier.copy(in.borrow(), out.borrow()).value(), bytes.size());
  EXPECT_EQ(copier.used(), Rung::kReadWrite);
  EXPECT_EQ(copier.moved_in_kernel() + copier.moved_through_user(), bytes.size());
  auto expected = Bytes{'h', 'e', 'a', 'd'};
  expected.insert(expected.end(), bytes.begin(), bytes.end());
  EXPECT_EQ(read_file(out.borrow(), expected.size()).value(), expected);
}

TEST_P(Copy, file_of_proc_is_read_to_its_end) {
  const ScratchDirectory scratch;
  const UniqueFd in(::open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
  const auto out = file_of(scratch, {});
  Copier copier(GetParam());
  const auto size = copier.copy(in.borrow(), out.borrow()).value();
  EXPECT_GT(size, 1000U);
  const auto text = read_file(out.borrow(), 10000000).value();
  EXPECT_EQ(text.size(), size);
  EXPECT_EQ(text.back(), '\n');
}

TEST_P(Copy, offsets_beyond_4_GiB) {
  const ScratchDirectory scratch;
  const auto bytes = pattern(100001);
  const auto in = file_of(scratch, {});
  const auto out = file_of(scratch, {});
  const auto at = static_cast<off_t>(5 * kGiB + 1);
  ASSERT_EQ(::pwrite(in.get(), bytes.data(), bytes.size(), at), 100001);
  ASSERT_EQ(::lseek(in.get(), at, SEEK_SET), at);
  ASSERT_EQ(::lseek(out.get(), at + 10, SEEK_SET), at + 10);
  Copier copier(GetParam());
  EXPECT_EQ(copier.copy(in.borrow(), out.borrow()).value(), bytes.size());
  Bytes arrived(bytes.size());
  ASSERT_EQ(::pread(out.get(), arrived.data(), arrived.size(), at + 10), 100001);
  EXPECT_EQ(arrived, bytes);
}

TEST_P(Copy, failed_write_leaves_the_positions_at_what_was_moved) {
  const ScratchDirectory scratch;
  const auto bytes = pattern(100000);
  const auto in = file_of(scratch, bytes);
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  Copier copier(GetParam());
  EXPECT_EQ(copier.copy(in.borrow(), full.borrow()).error().code, Code::kNoSpace);
  EXPECT_EQ(position(in), 0);
}

TEST_P(Copy, copier_goes_on_after_a_failure) {
  const ScratchDirectory scratch;
  const auto bytes = pattern(100000);
  const auto in = file_of(scratch, bytes);
  const auto out = file_of(scratch, {});
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  Copier copier(GetParam());
  EXPECT_FALSE(copier.copy(in.borrow(), full.borrow()));
  EXPECT_EQ(copier.copy(in.borrow(), out.borrow()).value(), bytes.size());
  EXPECT_EQ(read_file(out.borrow(), bytes.size()).value(), bytes);
}

TEST_P(Copy, reader_that_is_gone_is_closed) {
  const ScratchDirectory scratch;
  for (const bool socket : {false, true}) {
    auto ends = socket ? socket_ends() : pipe_ends();
    ends.read.reset();
    const auto in = file_of(scratch, pattern(1000));
    Copier copier(GetParam());
    EXPECT_EQ(copier.copy(in.borrow(), ends.write.borrow()).error().code, Code::kClosed);
    EXPECT_EQ(position(in), 0);
  }
}

TEST_P(Copy, unreadable_and_unwritable_ends_are_errors) {
  const ScratchDirectory scratch;
  const auto file = file_of(scratch, pattern(10));
  const auto readonly = reopen_readonly(file.borrow()).value();
  const auto out = file_of(scratch, {});
  Copier copier(GetParam());
  EXPECT_EQ(copier.copy(file.borrow(), readonly.borrow()).error().sys_errno, EBADF);
  EXPECT_EQ(copier.copy(scratch.fd(), out.borrow()).error().sys_errno, EISDIR);
  EXPECT_EQ(copier.copy(BorrowedFd(-1), out.borrow()).error().sys_errno, EBADF);
}

using CopyOnce = Census;

TEST_F(CopyOnce, sparse_file_of_more_than_4_GiB_is_moved_whole_inside_the_kernel) {
  const ScratchDirectory scratch("/dev/shm");
  const auto in = file_of(scratch, {});
  const uint64_t size = 4 * kGiB + 12345;
  ASSERT_EQ(::ftruncate(in.get(), static_cast<off_t>(size)), 0);
  const UniqueFd out(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  Copier copier;
  EXPECT_EQ(copier.copy(in.borrow(), out.borrow()).value(), size);
  EXPECT_EQ(position(in), static_cast<off_t>(size));
  EXPECT_EQ(copier.moved_in_kernel(), size);
  EXPECT_EQ(copier.moved_through_user(), 0U);
}

TEST_F(CopyOnce, its_pipe_is_close_on_exec) {
  const ScratchDirectory scratch;
  const auto in = file_of(scratch, pattern(10));
  const auto out = file_of(scratch, {});
  const auto before = open_descriptors();
  Copier copier(Rung::kSplice);
  ASSERT_TRUE(copier.copy(in.borrow(), out.borrow()));
  size_t opened = 0;
  for (const auto& [number, what] : open_descriptors()) {
    if (before.contains(number)) continue;
    ++opened;
    EXPECT_TRUE(is_close_on_exec(BorrowedFd(number))) << what;
  }
  EXPECT_EQ(opened, 2U);
}

}  // namespace
}  // namespace backupkit
