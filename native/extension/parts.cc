#include "native/extension/parts.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "native/io/tmpfile.h"

namespace backupkit {
namespace {

constexpr uint64_t kPartBytes = 100U << 20;
constexpr uint64_t kPartEntries = 6000;
constexpr size_t kOpenParts = 4;
constexpr uint32_t kPartMode = S_IFREG | 0600;

}  // namespace

std::string Parts::name() const { return prefix_ + "part." + std::to_string(finished_) + ".tar"; }

Result<std::string> Parts::add(const Entry& entry) {
  auto writer = open();
  if (!writer) return failure(writer.error());
  if (auto added = (*writer)->add(entry); !added) return failure(added.error());
  return name();
}

Result<Parts::Packed> Parts::add_file(const Entry& entry, BorrowedFd content) {
  auto writer = open();
  if (!writer) return failure(writer.error());
  auto hash = (*writer)->add_file(entry, content);
  if (!hash) return failure(hash.error());
  return Packed{name(), std::move(*hash)};
}

Result<std::string> Parts::add_encoded(SharedBytes entry) {
  auto writer = open();
  if (!writer) return failure(writer.error());
  if (auto added = (*writer)->add_encoded(std::move(entry)); !added) return failure(added.error());
  return name();
}

Result<void> Parts::take_back() { return writer_ ? writer_->take_back() : Result<void>{}; }

Result<void> Parts::note(const ManifestRow& row) {
  return manifest_ ? manifest_->writer.add(row) : Result<void>{};
}

// The part that has room for one more entry.
Result<TarWriter*> Parts::open() {
  if (writer_ && (writer_->size() >= kPartBytes || writer_->entries() >= kPartEntries)) {
    if (auto sent = finish(); !sent) return failure(sent.error());
  }
  if (writer_) return &*writer_;
  // Parts live on the bundle's own file system until their receiver closes them: wait for that.
  while (sent_.size() >= kOpenParts) {
    if (auto closed = link_.await_closed(sent_.front()); !closed) return failure(closed.error());
    sent_.pop_front();
  }
  auto file = unnamed_file(sandbox_);
  if (!file) return failure(file.error().in("a file for " + name()));
  if (with_manifests_) {
    if (auto opened = open_manifest(); !opened) return failure(opened.error());
  }
  writer_.emplace(std::move(*file));
  return &*writer_;
}

Result<void> Parts::open_manifest() {
  UniqueFd file(::memfd_create("manifest", MFD_CLOEXEC));
  if (!file.is_open()) return errno_failure("a manifest for " + name());
  manifest_.emplace(std::move(file));
  return {};
}

Result<void> Parts::finish() {
  if (!writer_ || writer_->entries() == 0) return {};  // what was in it was taken back
  if (auto finished = writer_->finish(); !finished) return finished;
  IndexItem item;
  item.file_name = name();
  item.path = item.file_name;
  item.size = writer_->size();
  item.mode = kPartMode;
  item.hash = writer_->digest();
  item.entries = writer_->entries();
  auto fds = take_files();
  if (!fds) return failure(fds.error());
  ++finished_;
  auto sent = link_.send_file(item.file_name, std::move(*fds));
  if (!sent) return failure(sent.error());
  sent_.push_back(*sent);
  index_.push_back(std::move(item));
  return {};
}

// What a receiver gets of the finished part: it cannot be written by it, nor by us any more.
Result<std::vector<UniqueFd>> Parts::take_files() {
  std::vector<UniqueFd> fds;
  if (!writer_) return fds;
  const UniqueFd written = writer_->release();
  writer_.reset();
  auto part = reopen_readonly(written.borrow());
  if (!part) return failure(part.error());
  fds.push_back(std::move(*part));
  if (!manifest_) return fds;
  if (auto finished = manifest_->writer.finish(); !finished) return failure(finished.error());
  auto manifest = reopen_readonly(manifest_->file.borrow());
  if (!manifest) return failure(manifest.error());
  fds.push_back(std::move(*manifest));
  manifest_.reset();
  return fds;
}

}  // namespace backupkit
