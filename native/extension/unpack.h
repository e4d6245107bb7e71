// Puts entries into a sandbox: each is made whole under `.backup` and renamed to its place.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/archive/tar_header.h"
#include "native/archive/tar_reader.h"
#include "native/io/copy.h"

namespace backupkit {

// Writes beneath one sandbox; no path and no symlink leads out of it. Not thread-safe. Every Error
// names the entry.
class Unpacker {
 public:
  // Makes the staging directory `.backup/restore`, empty.
  [[nodiscard]] static Result<Unpacker> make(BorrowedFd sandbox);

  // Puts the reader's current entry, whose header is `entry`, into its place; a hard link only with
  // put_links().
  [[nodiscard]] Result<void> put(const Entry& entry, TarReader& reader);

  // Gives the unnamed `file`, which nobody can write any more, its name, owner, mode and times.
  [[nodiscard]] Result<void> put_file(const Entry& entry, BorrowedFd file);

  // Puts a hard link to `entry.link_target`, which is in the sandbox.
  [[nodiscard]] Result<void> put_link(const Entry& entry);

  // Puts the hard links that put() has seen, now that what they lead to is in its place.
  [[nodiscard]] Result<void> put_links();

  // Gives what is at `entry.path` the entry's owner, mode and time where they differ; a directory
  // with finish().
  [[nodiscard]] Result<void> settle(const Entry& entry);

  // Removes the staging directory and sets the directories' owner, mode and times, the deepest
  // first: nothing may be put afterwards.
  [[nodiscard]] Result<void> finish();

  [[nodiscard]] uint64_t entries() const { return entries_; }

 private:
  Unpacker(BorrowedFd sandbox, UniqueFd staging)
      : sandbox_(sandbox), staging_(std::move(staging)) {}

  [[nodiscard]] Result<BorrowedFd> parent_of(const std::string& path);
  [[nodiscard]] Result<void> make_staged(const Entry& entry, TarReader& reader);
  [[nodiscard]] Result<void> copy_staged(const Entry& entry, BorrowedFd file);
  [[nodiscard]] Result<void> make_node(const Entry& entry);
  [[nodiscard]] Result<void> put_directory(const Entry& entry);
  [[nodiscard]] Result<void> move_into_place(const std::string& path);

  BorrowedFd sandbox_;
  UniqueFd staging_;
  std::string parent_path_;
  UniqueFd parent_;
  std::map<std::string, Entry> directories_;
  std::vector<Entry> links_;
  Copier copier_;
  uint64_t entries_ = 0;
};

}  // namespace backupkit
