// What an incremental backup knows of the last one, and what it leaves for the next.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/extension/file_hasher.h"
#include "native/extension/settings.h"
#include "native/manifest/change.h"
#include "native/manifest/manifest_reader.h"
#include "native/manifest/manifest_writer.h"
#include "native/manifest/merge_join.h"
#include "native/manifest/same_row.h"

namespace backupkit {

// The old manifest beside the walk, and the new one. Rows are asked for and added in walk order.
// Not thread-safe.
class History {
 public:
  // `old`: the last backup's complete manifest, or none; its position is not used. One that is
  // torn, damaged, of another directory or no manifest at all counts as none, and why_full() says
  // so; by one of version 1 nothing is left out either, nor from a row on that is none. The new
  // manifest is an unnamed file on the file system of `sandbox`, which outlives this.
  [[nodiscard]] static Result<std::unique_ptr<History>> open(BorrowedFd sandbox, UniqueFd old);

  // Why nothing can be left out; "" where there is a manifest to compare with.
  [[nodiscard]] const std::string& why_full() const { return why_full_; }

  // There is no manifest to compare with.
  [[nodiscard]] bool is_first() const { return !join_; }

  // When the walk began: call it before.
  [[nodiscard]] Timestamp scan_start() const { return scan_start_; }

  // The row that `path` had in the last backup.
  [[nodiscard]] Result<std::optional<ManifestRow>> match(const std::string& path);

  // Keeps the row of `found`, which is added, if an earlier backup holds it and it is unchanged: no
  // attribute and no content is looked at. False: that is not so, or match() and held() are needed
  // to tell.
  [[nodiscard]] Result<bool> keep_unchanged(const ScanEntry& found);

  // The row by which an earlier backup holds what `found` is, if one does: then the row alone is
  // kept. It is `old`, which match() gave for the entry, or that of a big file which had another
  // path. Reads the extended attributes of what has changed, and the file, or its `copy` if there
  // is one, where only the content can tell.
  [[nodiscard]] Result<std::optional<ManifestRow>> held(const std::optional<ManifestRow>& old,
                                                        const ScanEntry& found, BorrowedFd copy,
                                                        Labels labels, FileHasher& hasher);

  // The entry of that inode is kept by the row that held() gave.
  void take(uint64_t inode);

  // Keeps the rows that `path` and what is below it had in the last backup, but those that `keeps`
  // denies. Instead of match(), where the walk could not look at the entry.
  [[nodiscard]] Result<void> keep(const std::string& path,
                                  const std::function<bool(const ManifestRow&)>& keeps);

  [[nodiscard]] Result<void> add(const ManifestRow& row) { return writer_.add(row); }

  // The rows of files by the uri that holds them: what stands in the place of the row that was
  // added; none: that, and the links to it, are left out.
  using Corrections = std::map<std::string, std::optional<ManifestRow>>;

  // The complete new manifest, read-only, which nobody has open to write. Nothing may be added
  // afterwards.
  [[nodiscard]] Result<UniqueFd> finish(const Corrections& corrections);

 private:
  // A big file of the last backup.
  struct BigFile {
    uint64_t inode = 0;
    uint64_t row_at = 0;    // where its row's line begins in the old manifest
    bool is_taken = false;  // an entry of this one is that file
  };

  History(BorrowedFd sandbox, UniqueFd old, UniqueFd file)
      : sandbox_(sandbox), old_(std::move(old)), file_(std::move(file)), writer_(file_.borrow()) {}

  [[nodiscard]] Result<void> check_old();
  [[nodiscard]] Result<void> note(std::string_view line, const ManifestReader& reader,
                                  const struct stat& top);
  [[nodiscard]] std::span<BigFile> big_files_of(uint64_t inode);
  [[nodiscard]] bool is_taken(uint64_t inode);
  [[nodiscard]] Result<std::optional<ManifestRow>> moved(const ScanEntry& found, BorrowedFd copy,
                                                         Labels labels, FileHasher& hasher);
  [[nodiscard]] Result<void> open_old();
  void give_up(const Error& error);
  [[nodiscard]] static Result<void> correct(BorrowedFd from, BorrowedFd into,
                                            const Corrections& corrections);

  BorrowedFd sandbox_;
  UniqueFd old_;
  UniqueFd file_;
  ManifestWriter writer_;
  SameRow same_row_;
  std::optional<MergeJoin> join_;
  std::vector<BigFile> big_files_;  // by inode
  uint64_t device_ = 0;             // of the sandbox
  ManifestVersion version_{};       // of the old manifest
  std::string why_full_;
  Timestamp scan_start_;
};

}  // namespace backupkit
