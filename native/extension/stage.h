// Makes the entries of a restore, whole and with their metadata, beside the data that they will
// replace.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/archive/tar_header.h"
#include "native/archive/tar_reader.h"
#include "native/extension/file_maker.h"
#include "native/extension/journal.h"
#include "native/extension/metadata.h"
#include "native/io/copy.h"

namespace backupkit {

struct StageOptions {
  std::string prefix;         // "" or ending with a slash: what is put before every path
  bool keeps_paths = false;   // see Stage::paths()
  bool drops_labels = false;  // those that the device gives stay
  bool resumes = false;       // there may be entries that an interrupted restore has made
};

// A tree below the directory `stage` in which each entry has the path that it will have in the
// sandbox. Of the sandbox nothing is changed; a file in either that is what it should be is not
// made anew. No path and no symlink leads out of either. Not thread-safe. Every Error names the
// entry.
class Stage {
 public:
  Stage(BorrowedFd sandbox, BorrowedFd stage, StageOptions options)
      : sandbox_(sandbox), stage_(stage), options_(std::move(options)) {}

  // Makes the reader's current entry, whose header is `entry`: a file by the time that
  // await_files() has returned, a hard link only with put_links(). `archive` is what the reader
  // reads; it stays open until then.
  [[nodiscard]] Result<void> put(Entry entry, TarReader& reader, BorrowedFd archive);

  // Waits until all files are made. Error: one could not be.
  [[nodiscard]] Result<void> await_files();

  // Gives the unnamed `file`, which nobody can write any more, its name, metadata and holes.
  [[nodiscard]] Result<void> put_file(Entry entry, BorrowedFd file);

  // The same with a copy of it, as it is somebody else's.
  [[nodiscard]] Result<void> put_copy(Entry entry, BorrowedFd file);

  // Makes a hard link to `entry.link_target`, which is in the stage or, else, in the sandbox.
  [[nodiscard]] Result<void> put_link(Entry entry);

  // Makes the hard links that put() has seen, now that what they lead to is there.
  [[nodiscard]] Result<void> put_links();

  // Gives `entry.path` the entry's owner, mode and time: in the stage, or as a change() of what is
  // in the sandbox.
  [[nodiscard]] Result<void> settle(Entry entry);

  // Gives the directories their metadata: nothing can be put afterwards.
  [[nodiscard]] Result<void> finish();

  [[nodiscard]] uint64_t entries() const { return entries_; }
  // Whether something in the stage had to make room, with all below it.
  [[nodiscard]] bool has_replaced() const { return has_replaced_; }
  // What was written for files that were not there yet.
  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  // The metadata that directories will have, by path; "." for the top.
  [[nodiscard]] const std::map<std::string, Metadata>& directories() const { return directories_; }
  // What changes of entries that are not in the stage, by path.
  [[nodiscard]] const std::map<std::string, MetadataChange>& changes() const { return changes_; }
  // The path of everything that was put or settled, or only of what may belong to a database.
  [[nodiscard]] const std::set<std::string>& paths() const { return paths_; }
  // Those of them that are SQLite databases.
  [[nodiscard]] const std::vector<std::string>& databases() const { return databases_; }

 private:
  // The directory that was opened last, which the next entry is mostly in, too.
  struct Held {
    std::string path;
    std::shared_ptr<UniqueFd> directory;  // not open: there is none
    bool is_known = false;
    bool is_fresh = false;        // it was made for the entries that come now
    std::set<std::string> names;  // of what is in it, if it is fresh
  };

  [[nodiscard]] Result<void> admit(Entry& entry);
  [[nodiscard]] Result<void> admit_file(Entry& entry, BorrowedFd file);
  [[nodiscard]] Result<BorrowedFd> staged_parent_of(const std::string& path);
  [[nodiscard]] Result<BorrowedFd> present_parent_of(const std::string& path);
  [[nodiscard]] Result<void> put_regular(const Entry& entry, TarReader& reader, BorrowedFd archive);
  [[nodiscard]] Result<void> put_directory(const Entry& entry);
  [[nodiscard]] Result<void> make_file(const Entry& entry, TarReader& reader, BorrowedFd archive);
  [[nodiscard]] bool take_name(BorrowedFd parent, const std::string& path);
  [[nodiscard]] Result<void> make_room(BorrowedFd parent, const std::string& path);
  [[nodiscard]] Result<void> make_link(const Entry& entry);
  [[nodiscard]] Result<void> place_file(const Entry& entry, BorrowedFd file);
  [[nodiscard]] Result<void> copy_file(const Entry& entry, BorrowedFd file);
  [[nodiscard]] Result<void> make_node(const Entry& entry);
  [[nodiscard]] Result<UniqueFd> create(const std::string& path);
  [[nodiscard]] Result<void> clear_place(BorrowedFd parent, const std::string& path);
  [[nodiscard]] Result<void> clear_staged(const std::string& path);
  [[nodiscard]] Result<bool> is_present(const Entry& entry, const TarReader& reader,
                                        BorrowedFd archive);
  [[nodiscard]] Result<bool> is_staged(const Entry& entry, const TarReader& reader,
                                       BorrowedFd archive);
  [[nodiscard]] Result<void> unlock_staged(const std::string& path);
  [[nodiscard]] Result<void> settle_present(const Entry& entry);
  [[nodiscard]] Result<UniqueFd> find_staged(const std::string& path);
  [[nodiscard]] Result<void> note_database(const Entry& entry, TarReader& reader,
                                           BorrowedFd archive);

  BorrowedFd sandbox_;
  BorrowedFd stage_;
  StageOptions options_;
  Held staged_;
  Held present_;
  std::string fresh_;  // the directory that was made last, while nothing has come since
  std::map<std::string, Metadata> directories_;
  std::map<std::string, MetadataChange> changes_;
  std::set<std::string> paths_;
  std::vector<std::string> databases_;
  std::vector<Entry> links_;
  Copier copier_;
  FileMaker maker_{FileMaker::usual_threads()};
  std::set<std::string> coming_;  // the files that maker_ may not have made yet
  bool has_replaced_ = false;
  uint64_t entries_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace backupkit
