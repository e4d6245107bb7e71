#include "native/extension/backup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "native/archive/tar_writer.h"
#include "native/base/hash.h"
#include "native/base/syscall.h"
#include "native/io/tmpfile.h"
#include "native/manifest/index.h"
#include "native/manifest/scan.h"

namespace backupkit {
namespace {

constexpr uint64_t kPartBytes = 100U << 20;
constexpr uint64_t kPartEntries = 6000;
constexpr size_t kOpenParts = 4;
constexpr uint32_t kPartMode = S_IFREG | 0600;

EntryType type_of(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return EntryType::kDirectory;
    case S_IFLNK:
      return EntryType::kSymlink;
    case S_IFIFO:
      return EntryType::kFifo;
    case S_IFCHR:
      return EntryType::kCharDevice;
    case S_IFBLK:
      return EntryType::kBlockDevice;
    default:
      return EntryType::kFile;
  }
}

Entry header_of(const ScanEntry& found) {
  Entry entry;
  entry.path = found.path;
  entry.type = type_of(found.mode);
  entry.mode = found.mode & 07777U;
  entry.uid = found.uid;
  entry.gid = found.gid;
  entry.size = entry.type == EntryType::kFile ? found.size : 0;
  entry.mtime = found.mtime;
  entry.link_target = found.link_target;
  entry.device_major = found.device_major;
  entry.device_minor = found.device_minor;
  return entry;
}

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

uint64_t now_in_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

class Backup {
 public:
  Backup(BorrowedFd sandbox, const Settings& settings, Hook& hook, Link& link)
      : sandbox_(sandbox), settings_(settings), hook_(hook), link_(link) {}

  Result<void> run();

 private:
  Result<void> visit(const ScanEntry& found);
  Result<void> add_again(const ScanEntry& found);
  Result<void> add_small(const ScanEntry& found);
  Result<void> add_big(const ScanEntry& found, UniqueFd file);
  Result<UniqueFd> open_file(const ScanEntry& found);
  Result<TarWriter*> part();
  Result<void> finish_part();
  Result<std::string> hash_file(BorrowedFd file, uint64_t size, const std::string& path);
  std::string big_name(const ScanEntry& found);
  Result<void> send_index();
  Result<void> send_report();
  Result<void> verdict() const;

  BorrowedFd sandbox_;
  const Settings& settings_;
  Hook& hook_;
  Link& link_;
  std::string app_report_;
  std::optional<TarWriter> writer_;
  std::vector<IndexItem> index_;
  std::deque<uint64_t> open_parts_;
  std::set<std::string> names_;
  // Entries with more than one name: the first one seen, and where it is in the index if it is big.
  struct FirstName {
    std::string path;
    std::optional<size_t> item;
  };
  std::map<std::pair<uint64_t, uint64_t>, FirstName> first_names_;
  Hasher hasher_;
  Bytes buffer_;
  uint64_t seed_ = now_in_ns();
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  uint64_t parts_ = 0;
  uint64_t entries_ = 0;
  uint64_t bytes_packed_ = 0;
  uint64_t bytes_shared_ = 0;
  ScanTotals totals_;
  std::vector<std::string> unreadable_;  // found when an entry was opened
  uint64_t unreadable_count_ = 0;
};

Result<void> Backup::run() {
  auto prepared = hook_.on_backup(settings_);
  if (!prepared) return failure(prepared.error());
  app_report_ = std::move(*prepared);
  if (auto told = link_.progress("scan", "", 0, 0); !told) return told;
  auto totals =
      scan(sandbox_, settings_.rules, [this](const ScanEntry& found) { return visit(found); });
  if (!totals) return failure(totals.error());
  totals_ = std::move(*totals);
  totals_.stored -= unreadable_count_;
  totals_.unreadable += unreadable_count_;
  totals_.details.insert(totals_.details.end(), unreadable_.begin(), unreadable_.end());
  if (auto sent = finish_part(); !sent) return sent;
  if (auto sent = send_index(); !sent) return sent;
  if (auto sent = send_report(); !sent) return sent;
  return verdict();
}

Result<void> Backup::visit(const ScanEntry& found) {
  ++entries_;
  if (auto told = link_.progress("pack", found.path, entries_, bytes_packed_ + bytes_shared_);
      !told) {
    return told;
  }
  if (!S_ISDIR(found.mode) && found.links > 1) {
    if (first_names_.contains({found.device, found.inode})) return add_again(found);
  }
  if (!S_ISREG(found.mode) || found.size <= settings_.packing_limit) return add_small(found);
  auto file = open_file(found);
  if (!file) return failure(file.error());
  return file->is_open() ? add_big(found, std::move(*file)) : Result<void>{};
}

// Another name of what is stored already.
Result<void> Backup::add_again(const ScanEntry& found) {
  const FirstName& first = first_names_.at({found.device, found.inode});
  if (first.item) {
    index_[*first.item].links.push_back(found.path);
    return {};
  }
  auto writer = part();
  if (!writer) return failure(writer.error());
  Entry entry = header_of(found);
  entry.type = EntryType::kHardLink;
  entry.size = 0;
  entry.link_target = first.path;
  return (*writer)->add(entry);
}

// The entry's content, or none when it cannot be read: that is counted and the walk goes on.
Result<UniqueFd> Backup::open_file(const ScanEntry& found) {
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  UniqueFd file(retry([&] { return ::openat(found.parent.get(), found.name.c_str(), kFlags); }));
  if (file.is_open()) return file;
  if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) return errno_failure(found.path);
  ++unreadable_count_;
  if (unreadable_.size() < 100) {
    unreadable_.push_back(Error::from_errno(errno, found.path).message());
  }
  return UniqueFd();
}

Result<void> Backup::add_small(const ScanEntry& found) {
  const bool has_content = S_ISREG(found.mode);
  UniqueFd file;
  if (has_content) {
    auto opened = open_file(found);
    if (!opened) return failure(opened.error());
    if (!opened->is_open()) return {};
    file = std::move(*opened);
  }
  auto writer = part();
  if (!writer) return failure(writer.error());
  if (found.links > 1 && !S_ISDIR(found.mode)) {
    first_names_[{found.device, found.inode}] = {found.path, std::nullopt};
  }
  if (!has_content) return (*writer)->add(header_of(found));
  auto packed = (*writer)->add_file(header_of(found), file.borrow());
  if (!packed) return failure(packed.error());
  bytes_packed_ += found.size;
  return {};
}

Result<void> Backup::add_big(const ScanEntry& found, UniqueFd file) {
  IndexItem item;
  item.file_name = big_name(found);
  item.path = found.path;
  item.size = found.size;
  item.mode = found.mode;
  item.access = found.atime;
  item.modification = found.mtime;
  item.is_user_tar = item.file_name.ends_with(".tar");
  item.is_big_file = true;
  item.uid = found.uid;
  item.gid = found.gid;
  // A second descriptor of the same open file: its position is the receiver's, pread leaves it.
  UniqueFd given(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
  if (!given.is_open()) return errno_failure("duplicate of '" + found.path + "'");
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(given));
  if (auto sent = link_.send_file(item.file_name, std::move(fds)); !sent) {
    return failure(sent.error());
  }
  if (settings_.hashes_big_files) {
    // After the sending, so that the receiver copies while this reads.
    auto hash = hash_file(file.borrow(), found.size, found.path);
    if (!hash) return failure(hash.error());
    item.hash = std::move(*hash);
  }
  if (found.links > 1) {
    first_names_[{found.device, found.inode}] = {found.path, index_.size()};
  }
  bytes_shared_ += found.size;
  index_.push_back(std::move(item));
  return {};
}

Result<std::string> Backup::hash_file(BorrowedFd file, uint64_t size, const std::string& path) {
  buffer_.resize(1U << 20);
  uint64_t at = 0;
  while (at < size) {
    const auto want = std::min<uint64_t>(buffer_.size(), size - at);
    const auto got =
        retry([&] { return ::pread(file.get(), buffer_.data(), want, static_cast<int64_t>(at)); });
    if (got < 0) return errno_failure("read of '" + path + "'");
    if (got == 0) {
      return failure(Code::kPackFailed,
                     "'" + path + "' became shorter while it was read; run the backup again");
    }
    hasher_.update(std::span(buffer_).first(static_cast<size_t>(got)));
    at += static_cast<uint64_t>(got);
  }
  return hasher_.finish();
}

std::string Backup::big_name(const ScanEntry& found) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(found.path.data());
  const std::span path(bytes, found.path.size());
  for (uint64_t seed = seed_;; ++seed) {
    std::array<char, 17> digits{};
    (void)std::snprintf(digits.data(), digits.size(), "%016llx",
                        static_cast<unsigned long long>(hash64(path, seed)));
    auto name = std::string(digits.data()) + suffix_of(found.name);
    if (names_.insert(name).second) return name;
  }
}

// The part that has room for one more entry.
Result<TarWriter*> Backup::part() {
  if (writer_ && (writer_->size() >= kPartBytes || writer_->entries() >= kPartEntries)) {
    if (auto sent = finish_part(); !sent) return failure(sent.error());
  }
  if (!writer_) {
    // Parts live on the bundle's own file system until their receiver closes them: wait for that.
    while (open_parts_.size() >= kOpenParts) {
      if (auto closed = link_.await_closed(open_parts_.front()); !closed) {
        return failure(closed.error());
      }
      open_parts_.pop_front();
    }
    auto file = unnamed_file(sandbox_);
    if (!file) return failure(file.error().in("a part for '" + settings_.bundle + "'"));
    writer_.emplace(std::move(*file));
  }
  return &*writer_;
}

Result<void> Backup::finish_part() {
  if (!writer_) return {};
  if (auto finished = writer_->finish(); !finished) return finished;
  IndexItem item;
  item.file_name = "part." + std::to_string(parts_++) + ".tar";
  item.path = item.file_name;
  item.size = writer_->size();
  item.mode = kPartMode;
  item.hash = writer_->digest();
  item.entries = writer_->entries();
  const UniqueFd written = writer_->release();
  writer_.reset();
  auto given = reopen_readonly(written.borrow());
  if (!given) return failure(given.error());
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(*given));
  auto sent = link_.send_file(item.file_name, std::move(fds));
  if (!sent) return failure(sent.error());
  open_parts_.push_back(*sent);
  index_.push_back(std::move(item));
  return {};
}

Result<void> Backup::send_index() {
  const std::string json = write_index(index_);
  const auto* bytes = reinterpret_cast<const uint8_t*>(json.data());
  auto file = sealed_memfd("manage.json", std::span(bytes, json.size()));
  if (!file) return failure(file.error());
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(*file));
  auto sent = link_.send_file("manage.json", std::move(fds));
  if (!sent) return failure(sent.error());
  return {};
}

Result<void> Backup::send_report() {
  if (!app_report_.empty()) {
    if (auto sent = link_.report(app_report_); !sent) return sent;
  }
  using nlohmann::json;
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start_;
  json details = json::array();
  size_t size = 0;
  for (const auto& line : totals_.details) {
    size += line.size();
    if (size < kMaxText / 8) details.push_back(line);
  }
  const auto failed = totals_.unreadable + totals_.unsupported;
  const json count = {{"type", "CountInfo"},
                      {"infos", json::array({{{"backupType", "full"},
                                              {"successCount", totals_.stored},
                                              {"duplicateCount", 0},
                                              {"failedCount", failed},
                                              {"details", details}}})}};
  const json totals = {{"type", "Totals"},
                       {"stored", totals_.stored},
                       {"excluded", totals_.excluded},
                       {"unreadable", totals_.unreadable},
                       {"unsupported", totals_.unsupported},
                       {"vanished", totals_.vanished},
                       {"bytes", bytes_packed_ + bytes_shared_},
                       {"bytesMoved", bytes_packed_},
                       {"bytesShared", bytes_shared_},
                       {"seconds", spent.count()}};
  const json report = {{"resultInfo", json::array({count, totals})}};
  return link_.report(report.dump(-1, ' ', false, json::error_handler_t::replace));
}

// Partial is never success.
Result<void> Backup::verdict() const {
  const auto lost = totals_.unreadable + totals_.unsupported;
  if (lost == 0) return {};
  std::string text =
      std::to_string(lost) + " entries of '" + settings_.bundle + "' could not be stored: ";
  size_t named = 0;
  for (const auto& line : totals_.details) {
    if (text.size() > kMaxText / 4) break;
    text += (named++ == 0 ? "" : "; ") + line;
  }
  if (named < lost) text += "; and " + std::to_string(lost - named) + " more";
  return failure(totals_.unreadable > 0 ? Code::kNotPermitted : Code::kPackFailed, text);
}

}  // namespace

Result<void> back_up(BorrowedFd sandbox, const Settings& settings, Hook& hook, Link& link) {
  return Backup(sandbox, settings, hook, link).run();
}

}  // namespace backupkit
