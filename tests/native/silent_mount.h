// A file system that never answers, or answers no more: FUSE's, whose server reads every request
// and says nothing. Who has asked it cannot be killed until it has gone.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
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

  // It says nothing from the start.
  explicit SilentMount(std::string path) : SilentMount(std::move(path), "") {}

  // It has one file, `song`, and answers until be_silent().
  SilentMount(std::string path, std::string song)
      : path_(std::move(path)), song_(std::move(song)), is_silent_(song_.empty()) {
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

  void be_silent() { is_silent_ = true; }

  // Waits until somebody waits for an answer that does not come, which no signal ends.
  void await_waiter() const { has_waiter_.wait(false); }

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
      if (size < static_cast<ssize_t>(sizeof(fuse_in_header))) continue;
      fuse_in_header asked{};
      std::memcpy(&asked, request.data(), sizeof asked);
      const char* const body = request.data() + sizeof asked;
      // Without this one the kernel sends no other.
      if (asked.opcode == FUSE_INIT) {
        greet(asked);
      } else if (!is_silent_) {
        answer(asked, body);
      } else {
        has_waiter_ = true;
        has_waiter_.notify_all();
      }
    }
  }

  void greet(const fuse_in_header& asked) {
    fuse_init_out init{};
    init.major = FUSE_KERNEL_VERSION;
    init.minor = FUSE_KERNEL_MINOR_VERSION;
    init.max_write = 4096;
    say(asked, init);
  }

  void answer(const fuse_in_header& asked, const char* body) {
    switch (asked.opcode) {
      case FUSE_FORGET:
      case FUSE_BATCH_FORGET:
        return;
      case FUSE_LOOKUP:
        return std::string(body) == "song" ? look_up(asked) : refuse(asked, ENOENT);
      case FUSE_GETATTR:
        return say(asked, fuse_attr_out{60, 0, 0, attributes_of(asked.nodeid)});
      case FUSE_OPEN:
      case FUSE_OPENDIR:
        return say(asked, fuse_open_out{});
      case FUSE_READ:
        return say(asked, behind(song_, body));
      case FUSE_READDIR:
        return say(asked, behind(listing(), body));
      case FUSE_FLUSH:
      case FUSE_RELEASE:
      case FUSE_RELEASEDIR:
        return say(asked, std::string_view());
      default:
        return refuse(asked, ENOSYS);
    }
  }

  // What is asked for of `all`, which is shorter than anybody asks for at once.
  static std::string_view behind(std::string_view all, const char* body) {
    fuse_read_in wanted{};
    std::memcpy(&wanted, body, sizeof wanted);
    return wanted.offset == 0 ? all : std::string_view();
  }

  void look_up(const fuse_in_header& asked) {
    fuse_entry_out entry{};
    entry.nodeid = kSong;
    entry.entry_valid = 60;
    entry.attr_valid = 60;
    entry.attr = attributes_of(kSong);
    say(asked, entry);
  }

  [[nodiscard]] fuse_attr attributes_of(uint64_t node) const {
    fuse_attr found{};
    found.ino = node;
    found.nlink = 1;
    found.mode = node == kSong ? S_IFREG | 0644U : S_IFDIR | 0755U;
    found.size = node == kSong ? song_.size() : 0;
    return found;
  }

  static const std::string& listing() {
    static const std::string only = [] {
      fuse_dirent entry{};
      entry.ino = kSong;
      entry.off = 1;
      entry.namelen = 4;
      entry.type = DT_REG;
      std::string bytes(reinterpret_cast<const char*>(&entry), FUSE_NAME_OFFSET);
      bytes += "song";
      bytes.resize(FUSE_DIRENT_ALIGN(bytes.size()));
      return bytes;
    }();
    return only;
  }

  template <typename T>
  void say(const fuse_in_header& asked, const T& told) {
    say(asked, std::string_view(reinterpret_cast<const char*>(&told), sizeof told));
  }

  void say(const fuse_in_header& asked, std::string_view told) { say(asked, 0, told); }

  void refuse(const fuse_in_header& asked, int error) { say(asked, -error, {}); }

  void say(const fuse_in_header& asked, int error, std::string_view told) {
    fuse_out_header head{.len = static_cast<uint32_t>(sizeof head + told.size()),
                         .error = error,
                         .unique = asked.unique};
    std::string bytes(reinterpret_cast<const char*>(&head), sizeof head);
    bytes += told;
    // The one who asked may have gone.
    (void)!::write(server_.get(), bytes.data(), bytes.size());
  }

  static constexpr uint64_t kSong = 2;  // 1 is the root

  std::string path_;
  std::string song_;
  std::atomic<bool> is_silent_;
  std::atomic<bool> has_waiter_ = false;
  UniqueFd server_;
  UniqueFd stop_;
  std::thread thread_;
};

}  // namespace backupkit
