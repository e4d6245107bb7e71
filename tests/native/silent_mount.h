// A file system that never answers: FUSE's, whose server reads every request and says nothing. Who
// has asked it cannot be killed until it has gone.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backupkit/unique_fd.h"

namespace backupkit {

class SilentMount {
 public:
  // Why there can be none here, or nothing. The mounts of this process are its own afterwards.
  static std::string missing() {
    if (::geteuid() != 0) return "only root may mount";
    if (::access("/dev/fuse", R_OK | W_OK) != 0) return "there is no /dev/fuse";
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      return "mounts cannot be made private";
    }
    return "";
  }

  explicit SilentMount(std::string path) : path_(std::move(path)) {
    server_.reset(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    stop_.reset(::eventfd(0, EFD_CLOEXEC));
    const std::string options =
        "fd=" + std::to_string(server_.get()) + ",rootmode=40000,user_id=0,group_id=0,allow_other";
    const auto flags = MS_NOSUID | MS_NODEV;
    EXPECT_EQ(::mount("silent", path_.c_str(), "fuse", flags, options.c_str()), 0) << path_;
    thread_ = std::thread([this] { serve(); });
  }
  SilentMount(const SilentMount&) = delete;
  SilentMount& operator=(const SilentMount&) = delete;

  // Whoever waits for it gets an error.
  ~SilentMount() {
    EXPECT_EQ(::eventfd_write(stop_.get(), 1), 0);
    thread_.join();
    server_.reset();
    EXPECT_EQ(::umount2(path_.c_str(), MNT_DETACH), 0);
  }

 private:
  void serve() {
    std::vector<char> request(FUSE_MIN_READ_BUFFER + (size_t{1} << 20));
    for (;;) {
      std::array<pollfd, 2> polled{{{server_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
      if (::poll(polled.data(), polled.size(), -1) < 0 || polled[1].revents != 0) return;
      const auto size = ::read(server_.get(), request.data(), request.size());
      if (size >= static_cast<ssize_t>(sizeof(fuse_in_header))) greet(request.data());
    }
  }

  // Of all requests the first alone is answered, without which the kernel sends no other.
  void greet(const char* request) {
    fuse_in_header asked{};
    std::memcpy(&asked, request, sizeof asked);
    if (asked.opcode != FUSE_INIT) return;
    struct {
      fuse_out_header head;
      fuse_init_out init;
    } answer{};
    answer.head = {.len = sizeof answer, .error = 0, .unique = asked.unique};
    answer.init.major = FUSE_KERNEL_VERSION;
    answer.init.minor = FUSE_KERNEL_MINOR_VERSION;
    answer.init.max_write = 4096;
    EXPECT_EQ(::write(server_.get(), &answer, sizeof answer), static_cast<ssize_t>(sizeof answer));
  }

  std::string path_;
  UniqueFd server_;
  UniqueFd stop_;
  std::thread thread_;
};

}  // namespace backupkit
