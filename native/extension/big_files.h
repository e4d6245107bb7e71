// The big files of a backup: each is handed out by a descriptor of the file itself.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "native/extension/account.h"
#include "native/extension/content.h"
#include "native/extension/file_hasher.h"
#include "native/extension/history.h"
#include "native/extension/link.h"
#include "native/extension/small_files.h"
#include "native/manifest/index.h"
#include "native/manifest/manifest.h"
#include "native/manifest/scan.h"

namespace backupkit {

// The receiver copies a file after it was sent. So its second look comes when the receiver has
// closed it, or has taken it and nothing else is to be sent: nobody waits for one that is never
// closed, and of more than 256 the oldest is looked at as it is. A file that changed is sent again
// under the same uri, and what came last counts. One that changes every time leaves the index, and
// a uri that is not there counts for nothing. Not thread-safe.
class BigFiles {
 public:
  struct Options {
    uint64_t seed = 0;  // of the names
    Labels labels = Labels::kKeep;
    bool hashes = true;
    bool with_manifests = false;  // each comes with the manifest of its own row
    // The row of a file that this run sends; `in` is where.
    std::function<ManifestRow(const ScanEntry& found, const std::string& in)> row;
  };

  // What is sent is put into `index`, and what is lost afterwards into `account`. All that is named
  // here outlives this.
  BigFiles(Options options, Link& link, FileHasher& hasher, Work& work, Account& account,
           std::vector<IndexItem>& index)
      : options_(std::move(options)),
        link_(link),
        hasher_(hasher),
        work_(work),
        account_(account),
        index_(index) {}

  // Sends the file that is being visited, and sets what `found` says to how it was then. `old` is
  // its row in the last backup, which stays where the file is lost. With a `copy` that is sent, and
  // `found` stays; no more than four copies are not yet closed by their receiver.
  [[nodiscard]] Result<Handling> add(ScanEntry& found, const std::optional<ManifestRow>& old,
                                     BorrowedFd copy);

  // Looks again at those that were closed since, once in some calls.
  [[nodiscard]] Result<void> look_again();

  // Looks again at all, when everything else was sent, and takes what is lost out of the index.
  [[nodiscard]] Result<void> finish();

  // What became of the rows of those that were sent again or lost.
  [[nodiscard]] const History::Corrections& corrections() const { return corrections_; }

 private:
  // A file that was sent and not looked at since.
  struct Sent {
    ScanEntry found;
    std::optional<ManifestRow> old;
    Content content;
    ManifestRow row{};
    size_t item = 0;
    uint64_t sequence = 0;
    int readings = 0;
    bool changed = false;  // that is known already
  };

  [[nodiscard]] Result<bool> send(Sent& sent);
  [[nodiscard]] Result<Handling> send_stable(Sent& sent);
  [[nodiscard]] Result<std::optional<std::string>> hash(const Sent& sent);
  [[nodiscard]] Result<void> hand_out(Sent& sent);
  [[nodiscard]] Result<void> settle(Sent sent);
  [[nodiscard]] Result<bool> is_same(const Sent& sent);
  [[nodiscard]] Result<void> make_room(bool for_copy);
  void lose(const Sent& sent, const Handling& handling);
  [[nodiscard]] std::string name(const ScanEntry& found);

  Options options_;
  Link& link_;
  FileHasher& hasher_;
  Work& work_;
  Account& account_;
  std::vector<IndexItem>& index_;
  std::unordered_set<uint64_t> named_;  // the digits of the names so far
  std::deque<Sent> sent_;
  std::deque<uint64_t> copies_;  // sent and not seen closed
  uint64_t visits_ = 0;
  History::Corrections corrections_;
};

}  // namespace backupkit
