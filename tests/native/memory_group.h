// A limit on the memory of processes, page cache and all.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace backupkit {

// A control group of either version; removed when it is empty and this ends.
class MemoryGroup {
 public:
  // Not open where there can be none here: then why() says so.
  explicit MemoryGroup(uint64_t bytes) {
    namespace fs = std::filesystem;
    const fs::path first = "/sys/fs/cgroup/memory";
    const fs::path second = "/sys/fs/cgroup";
    const bool is_first = fs::exists(first / "memory.limit_in_bytes");
    const auto place = (is_first ? first : second) / ("backupkit-" + std::to_string(::getpid()));
    std::error_code error;
    if (::geteuid() != 0 || !fs::create_directory(place, error)) {
      why_ = "only root may make a control group";
      return;
    }
    path_ = place;
    std::ofstream limit(path_ / (is_first ? "memory.limit_in_bytes" : "memory.max"));
    limit << bytes << std::flush;
    if (!limit) why_ = "no memory controller is here";
  }
  ~MemoryGroup() {
    std::error_code error;
    if (path_.empty()) return;
    EXPECT_TRUE(std::filesystem::remove(path_, error)) << error.message();
  }
  MemoryGroup(const MemoryGroup&) = delete;
  MemoryGroup& operator=(const MemoryGroup&) = delete;

  [[nodiscard]] const std::string& why() const { return why_; }

  // A program that puts itself into the group and becomes `program`.
  void write_entry(const std::filesystem::path& script, const std::string& program) const {
    std::ofstream(script) << "#!/bin/sh\necho $$ >'" << (path_ / "cgroup.procs").string()
                          << "' || exit 1\nexec '" << program << "' \"$@\"\n";
    std::filesystem::permissions(script, std::filesystem::perms(0755));
  }

 private:
  std::filesystem::path path_;
  std::string why_;
};

}  // namespace backupkit
