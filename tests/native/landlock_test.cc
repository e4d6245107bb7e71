#include "native/io/landlock.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <csignal>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "native/io/privilege.h"
#include "tests/native/census.h"
#include "tests/native/in_child.h"

namespace backupkit {
namespace {

constexpr int kNotHeld = 255;

class LandlockTest : public Census {
 protected:
  void SetUp() override {
    Census::SetUp();
    version_ = landlock_version().value();
    if (version_ == 0) GTEST_SKIP() << "this kernel has no Landlock of Linux 5.19 or later";
    for (const char* name : {"kept", "run", "other"}) {
      std::filesystem::create_directory(scratch_ / name);
      std::ofstream(scratch_ / name + "/file") << "text";
    }
  }

  // The exit code of `deed`, for which `kept` may be changed, and `run` be run.
  int held(const std::function<int()>& deed,
           Landlock::Network network = Landlock::Network::kGivenUp) {
    return code_of([&] {
      auto landlock = Landlock::make(network);
      const bool is_held = landlock && landlock->keep(scratch_ / "kept", kRead | kWrite) &&
                           landlock->keep(scratch_ / "run", kRead | kRun) &&
                           landlock->keep(scratch_ / "nowhere", kRead) && forbid_new_privileges() &&
                           landlock->enforce();
      return is_held ? deed() : kNotHeld;
    });
  }
  // The error of an open there.
  int opened(const std::string& path, int flags) {
    return held([&] { return error_of(::open((scratch_ / path).c_str(), flags, 0600)); });
  }

  // As long as this is there.
  [[nodiscard]] const char* at(const std::string& name) {
    return paths_.emplace_back(scratch_ / name).c_str();
  }

  int version_ = 0;
  ScratchDirectory scratch_;
  std::deque<std::string> paths_;
};

TEST_F(LandlockTest, opens_what_is_kept_and_nothing_else) {
  EXPECT_EQ(opened("kept/file", O_RDWR), 0);
  EXPECT_EQ(opened("kept/new", O_WRONLY | O_CREAT | O_EXCL), 0);
  EXPECT_EQ(opened("run/file", O_RDONLY), 0);
  EXPECT_EQ(opened("run/file", O_WRONLY), EACCES);
  EXPECT_EQ(opened("run", O_RDONLY | O_DIRECTORY), 0);
  EXPECT_EQ(opened("other/file", O_RDONLY), EACCES);
  EXPECT_EQ(opened("other/file", O_WRONLY), EACCES);
  EXPECT_EQ(opened("other/new", O_WRONLY | O_CREAT), EACCES);
  EXPECT_EQ(opened("other", O_RDONLY | O_DIRECTORY), EACCES);
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "other/new"));
}

TEST_F(LandlockTest, no_way_leads_out) {
  std::filesystem::create_symlink("../other/file", scratch_ / "kept/link");
  const UniqueFd kept(::open(at("kept"), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto opened_from_kept = [&](const std::string& path) {
    return held([&] { return error_of(::openat(kept.get(), path.c_str(), O_RDONLY)); });
  };
  EXPECT_EQ(opened_from_kept("file"), 0);
  EXPECT_EQ(opened_from_kept("link"), EACCES);
  EXPECT_EQ(opened_from_kept("../other/file"), EACCES);
  EXPECT_EQ(opened_from_kept("/proc/self/root" + scratch_.path() + "/other/file"), EACCES);
  const auto self = "/proc/self/fd/" + std::to_string(kept.get());
  EXPECT_EQ(opened_from_kept(self + "/file"), 0);
  EXPECT_EQ(opened_from_kept(self + "/../other/file"), EACCES);
  EXPECT_EQ(opened_from_kept(".."), EACCES);
}

TEST_F(LandlockTest, nothing_goes_in_or_out) {
  EXPECT_NE(held([&] { return error_of(::rename(at("kept/file"), at("other/new"))); }), 0);
  EXPECT_NE(held([&] { return error_of(::rename(at("other/file"), at("kept/new"))); }), 0);
  EXPECT_NE(held([&] { return error_of(::link(at("other/file"), at("kept/new"))); }), 0);
  EXPECT_NE(held([&] { return error_of(::link(at("kept/file"), at("other/new"))); }), 0);
  EXPECT_EQ(held([&] { return error_of(::unlink(at("other/file"))); }), EACCES);
  EXPECT_EQ(held([&] { return error_of(::mkdir(at("other/new"), 0700)); }), EACCES);
  EXPECT_EQ(held([&] { return error_of(::symlink("x", at("other/new"))); }), EACCES);
  EXPECT_EQ(held([&] { return error_of(::mkfifo(at("other/new"), 0600)); }), EACCES);
  EXPECT_EQ(std::filesystem::file_size(scratch_ / "other/file"), 4U);
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "kept/new"));
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "other/new"));
}

TEST_F(LandlockTest, all_is_changed_in_what_is_kept) {
  EXPECT_EQ(held([&]() -> int {
              const UniqueFd unnamed(::open(at("kept"), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
              const auto self = "/proc/self/fd/" + std::to_string(unnamed.get());
              const bool is_done =
                  ::mkdir(at("kept/a"), 0700) == 0 && ::mkdir(at("kept/b"), 0700) == 0 &&
                  ::rename(at("kept/file"), at("kept/a/file")) == 0 &&
                  ::link(at("kept/a/file"), at("kept/b/file")) == 0 &&
                  ::unlink(at("kept/a/file")) == 0 && ::rmdir(at("kept/a")) == 0 &&
                  ::symlink("x", at("kept/b/link")) == 0 &&
                  ::mkfifo(at("kept/b/fifo"), 0600) == 0 && ::truncate(at("kept/b/file"), 1) == 0 &&
                  (!unnamed.is_open() || ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD,
                                                  at("kept/b/named"), AT_SYMLINK_FOLLOW) == 0);
              return is_done ? 0 : errno;
            }),
            0);
}

TEST_F(LandlockTest, truncates_nothing_else) {
  if (version_ < 3) GTEST_SKIP() << "Landlock knows truncate(2) from Linux 6.2 on";
  EXPECT_EQ(held([&] { return error_of(::truncate(at("other/file"), 0)); }), EACCES);
  EXPECT_EQ(std::filesystem::file_size(scratch_ / "other/file"), 4U);
}

TEST_F(LandlockTest, what_is_open_stays_so) {
  const UniqueFd file(::open(at("other/file"), O_RDONLY | O_CLOEXEC));
  char byte = 0;
  EXPECT_EQ(held([&] { return ::read(file.get(), &byte, 1) == 1 ? 0 : errno; }), 0);
  const UniqueFd memory(::memfd_create("memory", MFD_CLOEXEC));
  const auto self = "/proc/self/fd/" + std::to_string(memory.get());
  EXPECT_EQ(held([&] { return error_of(::open(self.c_str(), O_RDONLY)); }), 0);
}

TEST_F(LandlockTest, runs_only_what_may_be_run) {
  const auto run = [&](const std::string& name, Access access) {
    std::filesystem::copy_file("/bin/true", scratch_ / name + "/true");
    return code_of([&] {
      auto landlock = Landlock::make(Landlock::Network::kGivenUp);
      for (const char* path : {"/usr", "/lib", "/lib64"}) {
        if (!landlock->keep(path, kRead | kRun)) return kNotHeld;
      }
      if (!landlock->keep(scratch_ / name, access)) return kNotHeld;
      if (!forbid_new_privileges() || !landlock->enforce()) return kNotHeld;
      ::execl(at(name + "/true"), "true", nullptr);
      return errno;
    });
  };
  EXPECT_EQ(run("run", kRead | kRun), 0);
  EXPECT_EQ(run("kept", kRead | kWrite), EACCES);
}

TEST_F(LandlockTest, one_file_alone_may_be_kept) {
  EXPECT_EQ(code_of([&] {
              auto landlock = Landlock::make(Landlock::Network::kGivenUp);
              if (!landlock->keep(scratch_ / "other/file", kRead | kWrite | kRun) ||
                  !forbid_new_privileges() || !landlock->enforce()) {
                return kNotHeld;
              }
              if (::open(at("other/file"), O_RDWR) < 0) return errno;
              return ::open(at("other/new"), O_RDWR | O_CREAT, 0600) < 0 ? 0 : 1;
            }),
            0);
}

TEST_F(LandlockTest, reaches_no_other_process) {
  const pid_t parent = ::getpid();
  EXPECT_EQ(held([&] {
              const auto memory = "/proc/" + std::to_string(parent) + "/mem";
              return error_of(::open(memory.c_str(), O_RDONLY));
            }),
            EACCES);
  if (version_ < 6) GTEST_SKIP() << "Landlock knows signals from Linux 6.12 on";
  EXPECT_EQ(held([&] { return error_of(::kill(parent, 0)); }), EPERM);
  EXPECT_EQ(held([] { return error_of(::kill(::getpid(), 0)); }), 0);
}

TEST_F(LandlockTest, tcp_is_given_up_or_kept) {
  if (version_ < 4) GTEST_SKIP() << "Landlock knows TCP from Linux 6.7 on";
  const auto connected = [] {
    const UniqueFd made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(1);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return error_of(::connect(made.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)));
  };
  EXPECT_EQ(held(connected), EACCES);
  EXPECT_NE(held(connected, Landlock::Network::kKept), EACCES);
}

TEST_F(LandlockTest, is_left_out_where_it_is_missing) {
  for (const int error : {ENOSYS, EOPNOTSUPP, EPERM}) {
    EXPECT_EQ(code_of([&] {
                const std::vector<long> calls{SYS_landlock_create_ruleset, SYS_landlock_add_rule,
                                              SYS_landlock_restrict_self};
                if (!take_away(calls, static_cast<uint32_t>(error))) return kNotHeld;
                auto landlock = Landlock::make(Landlock::Network::kGivenUp);
                if (landlock_version() != 0 || !landlock) return 1;
                if (!landlock->keep(scratch_ / "kept", kRead) || !landlock->enforce()) return 2;
                return error_of(::open(at("other/file"), O_RDONLY));
              }),
              0);
  }
  EXPECT_EQ(code_of([] {
              if (!take_away({SYS_landlock_create_ruleset}, EIO)) return kNotHeld;
              return Landlock::make(Landlock::Network::kGivenUp) ? 0 : 1;
            }),
            1)
      << "what is no answer";
}

}  // namespace
}  // namespace backupkit
