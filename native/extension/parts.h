// The small entries of a backup, packed into the parts that are handed out one after another.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "native/archive/tar_writer.h"
#include "native/base/shared_bytes.h"
#include "native/extension/link.h"
#include "native/manifest/index.h"
#include "native/manifest/manifest_writer.h"

namespace backupkit {

// A part is an unnamed file on the bundle's own file system. It is sent when it is full, and no
// more than four are not yet closed by their receiver. Not thread-safe.
class Parts {
 public:
  // A part's name is `prefix`, "part.", a number and ".tar". With manifests, each comes with the
  // manifest of its own entries. What is sent is put into `index`, which outlives this.
  Parts(BorrowedFd sandbox, std::string prefix, bool with_manifests, Link& link,
        std::vector<IndexItem>& index)
      : sandbox_(sandbox),
        prefix_(std::move(prefix)),
        with_manifests_(with_manifests),
        link_(link),
        index_(index) {}

  // Adds an entry without content. Gives the name of the part that holds it.
  [[nodiscard]] Result<std::string> add(const Entry& entry);

  struct Packed {
    std::string part;
    std::string hash;
  };
  // Adds a file. Errors as of TarWriter::add_file().
  [[nodiscard]] Result<Packed> add_file(const Entry& entry, BorrowedFd content);

  // Adds an entry as of TarWriter::add_encoded().
  [[nodiscard]] Result<std::string> add_encoded(SharedBytes entry);

  // Takes the file added last out of its part again.
  [[nodiscard]] Result<void> take_back();

  // Puts the row of the entry added last into its part's manifest.
  [[nodiscard]] Result<void> note(const ManifestRow& row);

  // Sends the last part.
  [[nodiscard]] Result<void> finish();

 private:
  struct Manifest {
    UniqueFd file;
    ManifestWriter writer;
    explicit Manifest(UniqueFd made) : file(std::move(made)), writer(file.borrow()) {}
  };

  [[nodiscard]] Result<TarWriter*> open();
  [[nodiscard]] Result<void> open_manifest();
  [[nodiscard]] Result<std::vector<UniqueFd>> take_files();
  [[nodiscard]] std::string name() const;

  BorrowedFd sandbox_;
  std::string prefix_;
  bool with_manifests_;
  Link& link_;
  std::vector<IndexItem>& index_;
  std::optional<TarWriter> writer_;
  std::optional<Manifest> manifest_;
  std::deque<uint64_t> sent_;  // and not seen closed
  uint64_t finished_ = 0;
};

}  // namespace backupkit
