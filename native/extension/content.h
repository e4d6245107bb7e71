// A file's content while a backup reads it, which others may write meanwhile.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <string>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/archive/tar_header.h"
#include "native/extension/settings.h"
#include "native/manifest/scan.h"

namespace backupkit {

// How often a file is read in all when it changes while it is read.
constexpr int kMostReadings = 3;

// A file that is open to be read, and how it was before.
class Content {
 public:
  // Opens the file that is being visited and sets what `found` says to how it is now. Error: its
  // errno says why it cannot be read; is_gone() of it: no such file is there any more.
  [[nodiscard]] static Result<Content> open(ScanEntry& found, Labels labels);

  // The same for a copy of the file that is nobody else's, and what `found` says of it stays.
  [[nodiscard]] static Result<Content> of_copy(BorrowedFd copy);

  // Opens the same file again, wherever it is now, at its begin.
  [[nodiscard]] Result<void> reopen(ScanEntry& found);

  [[nodiscard]] BorrowedFd file() const { return file_.borrow(); }

  // Whether it is as it was when it was opened: size, mtime and, unless a link to it was made or
  // removed, ctime. Of one that changed as late as the clock ticks is_young() says that this does
  // not prove it: then its content was the same when it is so twice.
  [[nodiscard]] bool is_unchanged() const;
  [[nodiscard]] bool is_young() const { return young_; }

  // Sets what `found` says to how it is now: nothing before counts.
  [[nodiscard]] Result<void> look(ScanEntry& found);

 private:
  explicit Content(Labels labels) : labels_(labels) {}

  UniqueFd file_;
  struct stat status_{};
  bool young_ = false;
  Labels labels_;
  bool copy_ = false;
};

[[nodiscard]] bool is_gone(int sys_errno);

// The archive's header of an entry.
[[nodiscard]] Entry header_of(const ScanEntry& found);

// For tests: is called with the file before each is_unchanged() looks.
void on_second_look(std::function<void(BorrowedFd)> hook);

}  // namespace backupkit
