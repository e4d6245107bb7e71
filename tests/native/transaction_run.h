// A restore's transaction over two states of a sandbox, in this process.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "native/archive/tar_writer.h"
#include "native/extension/plan.h"
#include "native/extension/stage.h"
#include "native/extension/transaction.h"
#include "native/io/tmpfile.h"
#include "native/manifest/manifest.h"
#include "native/manifest/scan.h"
#include "tests/native/census.h"
#include "tests/native/tree.h"
#include "tests/native/two_states.h"

namespace backupkit {

using Tree = std::map<std::string, std::string>;
inline const Rules kEverything = Rules::make({"*"}, {});

// An archive of a tree, as a backup makes it.
class Archive {
 public:
  explicit Archive(const std::filesystem::path& tree) {
    const UniqueFd root(::open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    TarWriter writer(unnamed_file(root.borrow()).value());
    std::map<uint64_t, std::string> first;
    const auto visit = [&](const ScanEntry& found) -> Result<void> {
      Entry entry;
      entry.path = found.path;
      entry.type = entry_type(found.mode).value();
      entry.mode = found.mode & 07777U;
      entry.uid = found.uid;
      entry.gid = found.gid;
      entry.mtime = found.mtime;
      entry.link_target = found.link_target;
      entry.xattrs = read_xattrs(found.parent, found.name).value();
      const bool is_again = !S_ISDIR(found.mode) && !first.emplace(found.inode, found.path).second;
      if (is_again) {
        entry.type = EntryType::kHardLink;
        entry.link_target = first[found.inode];
      }
      if (entry.type != EntryType::kFile) return writer.add(entry);
      entry.size = found.size;
      const UniqueFd file(::openat(found.parent.get(), found.name.c_str(), O_RDONLY | O_CLOEXEC));
      auto added = writer.add_file(entry, file.borrow());
      if (!added) return failure(added.error());
      return {};
    };
    const auto miss = [](const Missed&) { return Result<void>{}; };
    EXPECT_TRUE(scan(root.borrow(), kEverything, {visit, miss}).has_value());
    EXPECT_TRUE(writer.finish().has_value());
    size_ = writer.size();
    file_ = writer.release();
  }

  [[nodiscard]] BorrowedFd file() const { return file_.borrow(); }
  [[nodiscard]] uint64_t size() const { return size_; }

 private:
  UniqueFd file_;
  uint64_t size_ = 0;
};

inline Result<void> put_entries(Stage& stage, const Archive& archive) {
  TarReader reader(archive.file(), archive.size());
  for (;;) {
    auto next = reader.next();
    if (!next) return failure(next.error());
    if (!*next) break;
    if (auto put = stage.put(std::move(**next), reader, archive.file()); !put) return put;
  }
  return stage.put_links();
}

inline Result<void> put_all(Stage& stage, const Archive& archive) {
  if (auto put = put_entries(stage, archive); !put) return put;
  return stage.finish();
}

class TransactionRun : public Census {
 protected:
  void SetUp() override {
    Census::SetUp();
    scratch_.emplace(memory_directory());
    make_old(sandbox());
    make_new(*scratch_ / "new");
    old_ = tree_of(sandbox());
    archive_.emplace(*scratch_ / "new");
    new_ = tree_of(*scratch_ / "new");
  }

  void TearDown() override {
    root_.reset();
    archive_.reset();
    scratch_.reset();
    Census::TearDown();
  }

  virtual void make_old(const std::filesystem::path& top) const { make_old_state(top); }
  virtual void make_new(const std::filesystem::path& top) const { make_new_state(top); }

  [[nodiscard]] std::filesystem::path sandbox() const { return *scratch_ / "sandbox"; }
  [[nodiscard]] BorrowedFd root() {
    root_.reset(::open(sandbox().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return root_.borrow();
  }

  // The transaction with all that is new in its stage, and its journal, before the commit.
  struct Prepared {
    Transaction transaction;
    Journal journal;
    uint64_t bytes;
  };
  Prepared prepare(bool mirrors) { return prepare(root(), mirrors); }
  Prepared prepare(BorrowedFd sandbox_fd, bool mirrors) {
    auto transaction = Transaction::begin(sandbox_fd).value();
    Stage stage(sandbox_fd, transaction.stage(), {.prefix = "", .keeps_paths = mirrors});
    const auto put = put_all(stage, *archive_);
    EXPECT_TRUE(put.has_value()) << put.error().message();
    auto journal =
        plan(sandbox_fd, transaction.stage(), stage, mirrors ? &kEverything : nullptr).value();
    return {std::move(transaction), std::move(journal), stage.bytes()};
  }

  // What the sandbox is to be after the restore.
  [[nodiscard]] Tree merged() const { return merged_state(old_, new_); }

  static Result<void> no_code(const std::string&) { return {}; }

  std::optional<ScratchDirectory> scratch_;
  std::optional<Archive> archive_;
  Tree old_;
  Tree new_;
  UniqueFd root_;
};

}  // namespace backupkit
