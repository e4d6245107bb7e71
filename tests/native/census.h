// What every test leaves behind: nothing. Derive a fixture from Census, or use it as it is.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "backupkit/unique_fd.h"

namespace backupkit {

// The open descriptors of this process and what /proc says they are.
inline std::map<int, std::string> open_descriptors() {
  std::map<int, std::string> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir("/proc/self/fd"), &::closedir);
  if (listing == nullptr) return found;
  while (const dirent* entry = ::readdir(listing.get())) {
    const std::string name = static_cast<const char*>(entry->d_name);
    if (name == "." || name == ".." || std::stoi(name) == ::dirfd(listing.get())) continue;
    std::error_code ignored;  // one may go between the listing and the look
    found[std::stoi(name)] = std::filesystem::read_symlink("/proc/self/fd/" + name, ignored);
  }
  return found;
}

inline bool is_close_on_exec(BorrowedFd fd) {
  const int flags = ::fcntl(fd.get(), F_GETFD);
  return flags >= 0 && (flags & FD_CLOEXEC) != 0;
}

// Fails a test that leaves a descriptor open or a child unreaped.
class Census : public ::testing::Test {
 protected:
  void SetUp() override { before_ = open_descriptors(); }

  void TearDown() override {
    EXPECT_EQ(before_, open_descriptors()) << "descriptors before and after";
    siginfo_t info{};
    EXPECT_EQ(::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), -1) << "a child is left";
    EXPECT_EQ(errno, ECHILD);
  }

 private:
  std::map<int, std::string> before_;
};

// A new directory that is removed, with all that is in it, at the end.
class ScratchDirectory {
 public:
  // Below `parent`, by default the build directory.
  explicit ScratchDirectory(const std::string& parent = ".") {
    std::string name = std::filesystem::absolute(parent).string() + "/scratch-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
    fd_.reset(::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] BorrowedFd fd() const { return fd_.borrow(); }

 private:
  std::string path_;
  UniqueFd fd_;
};

}  // namespace backupkit
