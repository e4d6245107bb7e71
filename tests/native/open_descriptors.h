// What this process has open.
#pragma once

#include <dirent.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <system_error>

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

}  // namespace backupkit
