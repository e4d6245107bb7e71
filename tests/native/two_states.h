// Two states of a sandbox that differ in every way: entries of each type that come, go, stay, are
// replaced by each other type, and change only what they are besides their content.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <filesystem>
#include <map>
#include <string>

#include "tests/native/tree.h"

namespace backupkit {

inline constexpr std::initializer_list<const char*> kTypes{"file", "directory", "symlink", "fifo"};

inline void make_typed(const std::filesystem::path& path, const std::string& type,
                       const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  if (type == "file") make_file(path, text);
  if (type == "symlink") std::filesystem::create_symlink(text, path);
  if (type == "directory") make_file(path / "inside", text);
  if (type == "fifo") {
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  }
}

inline void make_old_state(const std::filesystem::path& top) {
  make_file(top / "kept/file", "the same");
  make_file(top / "kept/changed", "old");
  make_file(top / "kept/deep/er/changed", "old, too", 0600);
  make_file(top / "kept/mode", "its mode changes", 0400);
  for (const std::string from : kTypes) {
    for (const std::string to : kTypes) {
      make_typed(top / "types" / (from + "-" + to), from, "old");
    }
  }
  make_file(top / "links/first", "two names");
  std::filesystem::create_hard_link(top / "links/first", top / "links/second");
  make_file(top / "data/app.db", "old database");
  make_file(top / "data/app.db-wal", "and its log");
  make_file(top / "only old/file", "stays in a merge");
  settle_times(top, 1'000'000);
  set_time(top / "kept/file", 1'500'000, 15);
}

inline void make_new_state(const std::filesystem::path& top) {
  std::filesystem::create_directories(top);
  ASSERT_EQ(::chmod(top.c_str(), 0750), 0);
  make_file(top / "kept/file", "the same");
  make_file(top / "kept/changed", "new");
  make_file(top / "kept/deep/er/changed", "new, too", 0640);
  make_file(top / "kept/mode", "its mode changes", 0444);
  for (const std::string from : kTypes) {
    for (const std::string to : kTypes) {
      make_typed(top / "types" / (from + "-" + to), to, "new");
    }
  }
  make_file(top / "links/second", "other two names");
  std::filesystem::create_hard_link(top / "links/second", top / "links/third");
  make_file(top / "data/app.db", "SQLite format 3" + std::string(1, '\0') + " new");
  make_file(top / "only new/a/b/file", "new");
  (void)::setxattr((top / "only new").c_str(), "user.test", "x", 1, 0);
  (void)::setxattr((top / "kept/changed").c_str(), "user.test", "y", 1, 0);
  (void)::setxattr((top / "links/second").c_str(), "user.test", "z", 1, 0);
  settle_times(top, 2'000'000);
  set_time(top / "kept/file", 1'500'000, 15);
}

// The old state after a restore of the new one that leaves what it does not have.
inline std::map<std::string, std::string> merged_state(
    const std::map<std::string, std::string>& old_state,
    const std::map<std::string, std::string>& new_state) {
  auto merged = new_state;
  for (const char* path : {"links/first", "only old", "only old/file"}) {
    merged[path] = old_state.at(path);
  }
  return merged;
}

}  // namespace backupkit
