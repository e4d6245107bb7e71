// Trees of files for tests, and what can be told of one.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "tests/native/scratch_directory.h"

namespace backupkit {

// All that a backup keeps of each entry below `root`, by path; of the top itself but its time,
// which moves whenever `.backup` comes or goes. Hard links are told by the first path of the inode.
inline std::map<std::string, std::string> tree_of(const std::filesystem::path& root) {
  std::map<std::string, std::string> tree;
  std::map<ino_t, std::string> first;
  const auto describe = [&](const std::filesystem::path& path, const std::string& name) {
    struct stat found{};
    EXPECT_EQ(::lstat(path.c_str(), &found), 0) << path;
    std::string text = std::to_string(found.st_mode) + " " + std::to_string(found.st_uid) + ":" +
                       std::to_string(found.st_gid);
    if (name != ".") {
      text +=
          " " + std::to_string(found.st_mtim.tv_sec) + "." + std::to_string(found.st_mtim.tv_nsec);
    }
    if (S_ISREG(found.st_mode)) {
      std::ifstream file(path);
      text += " [" + std::string(std::istreambuf_iterator<char>(file), {}) + "]";
    }
    if (S_ISLNK(found.st_mode)) text += " -> " + std::filesystem::read_symlink(path).string();
    if (!S_ISDIR(found.st_mode)) text += " = " + first.emplace(found.st_ino, name).first->second;
    std::array<char, 256> value{};
    const auto size = ::lgetxattr(path.c_str(), "user.test", value.data(), value.size());
    if (size >= 0) text += " user.test=" + std::string(value.data(), static_cast<size_t>(size));
    tree[name] = text;
  };
  describe(root, ".");
  std::map<std::string, std::filesystem::path> sorted;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    sorted[entry.path().lexically_relative(root).string()] = entry.path();
  }
  for (const auto& [name, path] : sorted) describe(path, name);
  return tree;
}

// What the kernel tells of each entry: another one is told even if it looks the same. Looking at it
// this way changes nothing of it.
inline std::map<std::string, std::string> inodes_of(const std::filesystem::path& root) {
  std::map<std::string, std::string> inodes;
  const auto describe = [&](const std::filesystem::path& path) {
    struct stat found{};
    EXPECT_EQ(::lstat(path.c_str(), &found), 0) << path;
    std::string text = std::to_string(found.st_ino) + " mode " + std::to_string(found.st_mode) +
                       " links " + std::to_string(found.st_nlink) + " size " +
                       std::to_string(found.st_size);
    for (const auto& time : {found.st_mtim, found.st_ctim}) {
      text += " " + std::to_string(time.tv_sec) + "." + std::to_string(time.tv_nsec);
    }
    inodes[path.string()] = text;
  };
  describe(root);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    describe(entry.path());
  }
  return inodes;
}

// Says of each entry that differs what it is and what it should be.
inline void expect_same(const std::map<std::string, std::string>& tree,
                        const std::map<std::string, std::string>& wanted) {
  for (const auto& [path, is] : tree) {
    const auto found = wanted.find(path);
    if (found == wanted.end() || found->second != is) {
      ADD_FAILURE() << path << " is " << is << "\nand should be "
                    << (found == wanted.end() ? "nothing" : found->second);
    }
  }
  for (const auto& [path, should_be] : wanted) {
    EXPECT_TRUE(tree.contains(path)) << path << " is missing";
  }
}

inline void set_time(const std::filesystem::path& path, time_t seconds, long nanoseconds) {
  const std::array<timespec, 2> times{timespec{seconds, nanoseconds},
                                      timespec{seconds, nanoseconds}};
  EXPECT_EQ(::utimensat(AT_FDCWD, path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW), 0) << path;
}

// Gives everything below `root` a time of its own, the same in every run.
inline void settle_times(const std::filesystem::path& root, time_t begin) {
  std::map<std::string, bool> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    paths[entry.path().string()] = true;
  }
  time_t seconds = begin;
  for (const auto& [path, ignored] : paths) {
    ++seconds;
    set_time(path, seconds, static_cast<long>(seconds % 1000));
  }
  set_time(root, begin, 7);
}

inline void make_file(const std::filesystem::path& path, const std::string& text,
                      mode_t mode = 0644) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
  ASSERT_EQ(::chmod(path.c_str(), mode), 0);
}

}  // namespace backupkit
