#include "native/extension/big_files.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/base/hash.h"
#include "native/io/tmpfile.h"
#include "native/manifest/manifest_writer.h"

namespace backupkit {
namespace {

// The extension of a file's name with its dot, if it may stand in a uri.
std::string suffix_of(std::string_view name) {
  const auto dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return "";
  const auto suffix = name.substr(dot + 1);
  const auto plain = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  if (suffix.empty() || suffix.size() > 16 || !std::ranges::all_of(suffix, plain)) return "";
  return "." + std::string(suffix);
}

// The manifest of one big file.
Result<UniqueFd> manifest_of(const ManifestRow& row) {
  const UniqueFd file(::memfd_create("manifest", MFD_CLOEXEC));
  if (!file.is_open()) return errno_failure("a manifest");
  ManifestWriter writer(file.borrow());
  if (auto added = writer.add(row); !added) return failure(added.error());
  if (auto finished = writer.finish(); !finished) return failure(finished.error());
  return reopen_readonly(file.borrow());
}

IndexItem item_of(const ScanEntry& found, std::string name) {
  IndexItem item;
  item.is_user_tar = name.ends_with(".tar");
  item.is_big_file = true;
  item.file_name = std::move(name);
  item.path = found.path;
  item.size = found.size;
  item.mode = found.mode;
  item.access = found.atime;
  item.modification = found.mtime;
  item.uid = found.uid;
  item.gid = found.gid;
  item.xattrs = found.xattrs;
  item.holes = found.holes;
  return item;
}

// The descriptors that are held for a second look.
constexpr size_t kMostSent = 256;
constexpr size_t kMostCopies = 4;
constexpr uint64_t kLookEvery = 8;                      // calls: it is a system call at least
constexpr uint64_t kLongContent = uint64_t{64} << 10U;  // the receiver copies while it is hashed

}  // namespace

Result<Handling> BigFiles::add(ScanEntry& found, const std::optional<ManifestRow>& old,
                               BorrowedFd copy) {
  if (auto room = make_room(copy.is_open()); !room) return failure(room.error());
  auto content = copy.is_open() ? Content::of_copy(copy) : Content::open(found, options_.labels);
  if (!content) return handling_of(content.error());
  Sent sent{.found = found, .old = old, .content = std::move(*content), .item = index_.size()};
  index_.push_back(item_of(found, name(found)));
  auto handling = send_stable(sent);
  found = sent.found;
  if (!handling) return handling;
  if (handling->fate != Fate::kStored) {
    index_.pop_back();
    return handling;
  }
  handling->in = sent.row.in;
  handling->hash = sent.row.hash;
  if (copy.is_open()) {
    copies_.push_back(sent.sequence);
  } else {
    sent_.push_back(std::move(sent));
  }
  return handling;
}

Result<void> BigFiles::make_room(bool for_copy) {
  while (sent_.size() >= kMostSent) {
    Sent oldest = std::move(sent_.front());
    sent_.pop_front();
    if (auto settled = settle(std::move(oldest)); !settled) return settled;
  }
  // They live on the bundle's own file system until their receiver closes them.
  while (for_copy && copies_.size() >= kMostCopies) {
    if (auto closed = link_.await_closed(copies_.front()); !closed) return closed;
    copies_.pop_front();
  }
  return {};
}

// Sends it until it was sent as it is, as often as it may be read.
Result<Handling> BigFiles::send_stable(Sent& sent) {
  for (; sent.readings < kMostReadings;) {
    const bool is_again = sent.readings++ > 0;
    if (is_again) ++work_.resent;
    auto opened = is_again ? sent.content.reopen(sent.found) : Result<void>{};
    if (!opened) return handling_of(opened.error());
    auto done = send(sent);
    if (!done && done.error().code == Code::kPackFailed) return handling_of(done.error());
    if (!done) return failure(done.error());
    if (*done) return Handling{};
  }
  return Handling{.fate = Fate::kUnstable};
}

// False: it changed before it could be sent. Error kPackFailed: its errno says why it cannot be
// read.
Result<bool> BigFiles::send(Sent& sent) {
  IndexItem& item = index_[sent.item];
  auto links = std::move(item.links);
  item = item_of(sent.found, item.file_name);
  item.links = std::move(links);
  sent.row = options_.row(sent.found, item.file_name);
  sent.changed = false;
  // Its own manifest goes with it, so the hash cannot come after.
  const bool hashes_first = options_.with_manifests && options_.hashes;
  if (hashes_first) {
    auto hashed = hash(sent);
    if (!hashed) return failure(hashed.error());
    const auto& digest = *hashed;
    if (!digest || !sent.content.is_unchanged()) return false;
    item.hash = sent.row.hash = *digest;
  }
  if (auto sending = hand_out(sent); !sending) return failure(sending.error());
  if (options_.hashes && !hashes_first) {  // while the receiver copies
    auto hashed = hash(sent);
    if (!hashed) return failure(hashed.error());
    sent.changed = !*hashed;
    item.hash = hashed->value_or("");
  }
  return true;
}

// Nothing: it became shorter.
Result<std::optional<std::string>> BigFiles::hash(const Sent& sent) {
  auto hashed =
      hasher_.hash(sent.content.file(), sent.found.size, sent.found.holes, sent.found.path);
  if (hashed) return std::move(*hashed);
  const auto& error = hashed.error();
  if (error.code == Code::kClosed) return failure(error);
  if (error.sys_errno == 0) return std::nullopt;
  return failure(Error{Code::kPackFailed, error.sys_errno, error.context});
}

Result<void> BigFiles::hand_out(Sent& sent) {
  // A second descriptor of the same open file: its position is the receiver's, pread leaves it.
  UniqueFd given(::fcntl(sent.content.file().get(), F_DUPFD_CLOEXEC, 0));
  if (!given.is_open()) return errno_failure("duplicate of '" + sent.found.path + "'");
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(given));
  if (options_.with_manifests) {
    auto manifest = manifest_of(sent.row);
    if (!manifest) return failure(manifest.error());
    fds.push_back(std::move(*manifest));
  }
  auto sequence = link_.send_file(index_[sent.item].file_name, std::move(fds));
  if (!sequence) return failure(sequence.error());
  sent.sequence = *sequence;
  work_.bytes_shared += sent.found.size;
  return sent.found.size < kLongContent ? Result<void>{} : link_.flush();
}

Result<void> BigFiles::look_again() {
  if (sent_.empty() || ++visits_ % kLookEvery != 0) return {};
  if (auto heard = link_.hear(); !heard) return heard;
  for (size_t i = 0; i < sent_.size();) {
    if (link_.is_open(sent_[i].sequence)) {
      ++i;
      continue;
    }
    Sent sent = std::move(sent_[i]);
    sent_.erase(sent_.begin() + static_cast<std::ptrdiff_t>(i));
    if (auto settled = settle(std::move(sent)); !settled) return settled;
  }
  return {};
}

Result<void> BigFiles::finish() {
  while (!sent_.empty()) {
    const auto& path = sent_.front().found.path;
    auto told = link_.progress("send", path, work_.entries, work_.bytes());
    if (!told) return told;
    if (auto taken = link_.await_taken(); !taken) return taken;
    for (size_t left = sent_.size(); left > 0; --left) {
      Sent sent = std::move(sent_.front());
      sent_.pop_front();
      if (auto settled = settle(std::move(sent)); !settled) return settled;
    }
  }
  std::erase_if(index_, [](const IndexItem& item) { return item.file_name.empty(); });
  return {};
}

// Takes the second look, and sends the file again where it has changed.
Result<void> BigFiles::settle(Sent sent) {
  auto same = is_same(sent);
  if (!same) return failure(same.error());
  if (*same) return {};
  auto handling = send_stable(sent);
  if (!handling) return failure(handling.error());
  if (handling->fate != Fate::kStored) {
    lose(sent, *handling);
    return {};
  }
  corrections_[sent.row.in] = sent.row;
  sent_.push_back(std::move(sent));
  return {};
}

// Whether the file is what was sent, as far as that can be told.
Result<bool> BigFiles::is_same(const Sent& sent) {
  if (sent.changed || !sent.content.is_unchanged()) return false;
  if (!options_.hashes || !sent.content.is_young()) return true;
  auto again = hash(sent);
  if (!again && again.error().code != Code::kPackFailed) return failure(again.error());
  return again && *again == index_[sent.item].hash && sent.content.is_unchanged();
}

void BigFiles::lose(const Sent& sent, const Handling& handling) {
  IndexItem& item = index_[sent.item];
  Missed missed{handling.fate, sent.found.path, handling.sys_errno, {}, sent.found.device};
  account_.lose(missed);
  for (const auto& link : item.links) {
    missed.path = link;
    account_.lose(missed);
  }
  auto& correction = corrections_[item.file_name];
  correction.reset();
  if (sent.old && sent.old->type == EntryType::kFile && !sent.old->in.empty()) {
    correction = sent.old;
    correction->is_incremental = false;
  }
  item.file_name.clear();
}

std::string BigFiles::name(const ScanEntry& found) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(found.path.data());
  const std::span path(bytes, found.path.size());
  uint64_t seed = options_.seed;
  uint64_t digest = hash64(path, seed);
  while (!named_.insert(digest).second) digest = hash64(path, ++seed);
  std::array<char, 17> digits{};
  (void)std::snprintf(digits.data(), digits.size(), "%016llx",
                      static_cast<unsigned long long>(digest));
  return std::string(digits.data()) + suffix_of(found.name);
}

}  // namespace backupkit
