// Directories of tests.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "backupkit/unique_fd.h"

namespace backupkit {

// Where a test whose many syncs would wait for the disk has its files.
inline std::string memory_directory() { return ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "."; }

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
