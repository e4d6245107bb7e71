#include "native/extension/restore.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/archive/tar_reader.h"
#include "native/base/hash.h"
#include "native/base/syscall.h"
#include "native/extension/report.h"
#include "native/extension/selection.h"
#include "native/extension/unpack.h"
#include "native/io/tmpfile.h"
#include "native/manifest/index.h"
#include "native/manifest/manifest_reader.h"

namespace backupkit {
namespace {

constexpr const char* kIndexName = "manage.json";
constexpr size_t kMaxIndexBytes = 256U << 20;
constexpr size_t kMaxFiles = 1'000'000;
constexpr auto kGrowthEvery = std::chrono::seconds(10);

class Restore {
 public:
  Restore(BorrowedFd sandbox, const Settings& settings, Hook& hook, Link& link)
      : sandbox_(sandbox), settings_(settings), hook_(hook), link_(link) {}

  Result<void> run();

 private:
  Result<void> receive_all();
  Result<void> notice_growth();
  Result<void> give_handle(const std::string& uri);
  Result<void> make_handle(const std::string& uri);
  Result<bool> publish(uint32_t request, const std::string& uri);
  Result<void> check_published(const std::string& uri);
  Result<void> check_all();
  Result<void> check_item(const IndexItem& item);
  Result<std::string> hash_of(BorrowedFd file, uint64_t size, const std::string& name);
  Result<void> select();
  Result<void> apply();
  Result<void> put_all(Unpacker& unpacker);
  Result<void> settle_rows(Unpacker& unpacker);
  Result<void> unpack_part(const IndexItem& item, Unpacker& unpacker);
  Result<void> place_big(const IndexItem& item, BorrowedFd file, Unpacker& unpacker);
  Result<void> send_report(uint64_t entries);

  BorrowedFd sandbox_;
  const Settings& settings_;
  Hook& hook_;
  Link& link_;
  struct Received {
    UniqueFd content;   // read-only
    UniqueFd manifest;  // what the client wrote beside it
  };
  std::map<std::string, Received> files_;  // by uri
  Selection selection_;
  std::vector<IndexItem> index_;
  Hasher hasher_;
  uint64_t bytes_received_ = 0;
  uint64_t bytes_unpacked_ = 0;
  uint64_t bytes_linked_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

Result<void> Restore::run() {
  if (auto told = link_.progress("receive", "", 0, 0); !told) return told;
  if (auto received = receive_all(); !received) return received;
  if (auto checked = check_all(); !checked) return checked;
  return apply();
}

Result<void> Restore::receive_all() {
  for (;;) {
    auto next = link_.next(kGrowthEvery);
    if (!next) return failure(next.error());
    const auto& frame = *next;
    if (!frame) {
      if (auto noticed = notice_growth(); !noticed) return noticed;
      continue;
    }
    ByteReader reader(frame->body);
    if (frame->type == FrameType::kHandle) {
      const auto uri = reader.get_text(kMaxNameText);
      if (auto given = give_handle(uri); !given) return given;
    } else if (frame->type == FrameType::kPublishFile) {
      const auto request = reader.get<uint32_t>();
      auto complete = publish(request, reader.get_text(kMaxNameText));
      if (!complete) return failure(complete.error());
      if (*complete) return {};
    }
  }
}

// A client that writes one file for an hour makes progress all the same.
Result<void> Restore::notice_growth() {
  uint64_t bytes = 0;
  for (const auto& [uri, file] : files_) {
    struct stat state{};
    if (::fstat(file.content.get(), &state) != 0) return errno_failure("'" + uri + "'");
    bytes += static_cast<uint64_t>(state.st_size);
  }
  if (bytes == bytes_received_) return {};
  bytes_received_ = bytes;
  return link_.progress("receive", "", files_.size(), bytes);
}

Result<void> Restore::give_handle(const std::string& uri) {
  auto made = make_handle(uri);
  if (made || made.error().code == Code::kClosed) return made;
  return link_.send_file_error(uri, made.error());
}

Result<void> Restore::make_handle(const std::string& uri) {
  if (files_.size() >= kMaxFiles) return failure(Code::kOutOfMemory, "too many files");
  auto file = unnamed_file(sandbox_);
  if (!file) return failure(file.error().in("a file for '" + uri + "'"));
  auto kept = reopen_readonly(file->borrow());
  if (!kept) return failure(kept.error().in("a file for '" + uri + "'"));
  UniqueFd manifest(::memfd_create("manifest", MFD_CLOEXEC));
  if (!manifest.is_open()) return errno_failure("a manifest for '" + uri + "'");
  auto manifest_kept = reopen_readonly(manifest.borrow());
  if (!manifest_kept) return failure(manifest_kept.error());
  files_[uri] = {std::move(*kept), std::move(*manifest_kept)};
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(*file));
  fds.push_back(std::move(manifest));
  auto sent = link_.send_file(uri, std::move(fds));
  if (!sent) return failure(sent.error());
  return {};
}

// True when everything is published; a refusal goes to the one who asked.
Result<bool> Restore::publish(uint32_t request, const std::string& uri) {
  Result<void> checked;
  if (!uri.empty()) {
    checked = check_published(uri);
  } else {
    for (const auto& [name, file] : files_) {
      if (checked = check_published(name); !checked) break;
    }
  }
  std::optional<Error> refusal;
  if (!checked) refusal = checked.error();
  if (auto told = link_.published(request, refusal); !told) return failure(told.error());
  return uri.empty() && !refusal;
}

Result<void> Restore::check_published(const std::string& uri) {
  const auto found = files_.find(uri);
  if (found == files_.end()) {
    return failure(Code::kInvalidArgument, "'" + uri + "' was never asked for");
  }
  auto written = has_writers(found->second.content.borrow());
  if (!written) return failure(written.error().in("'" + uri + "'"));
  if (*written) {
    return failure(Code::kNotPermitted, "'" + uri + "' is still open for writing: close it first");
  }
  return {};
}

Result<void> Restore::check_all() {
  const auto found = files_.find(kIndexName);
  if (found == files_.end()) {
    return failure(Code::kUnpackFailed, "manage.json is missing: hand it over, too");
  }
  auto bytes = read_file(found->second.content.borrow(), kMaxIndexBytes);
  if (!bytes) return failure(bytes.error().in(kIndexName));
  auto items = read_index(std::string(bytes->begin(), bytes->end()));
  if (!items) return failure(items.error().in(kIndexName));
  index_ = std::move(*items);
  uint64_t checked = 0;
  for (const auto& item : index_) {
    if (auto good = check_item(item); !good) return good;
    if (auto told = link_.progress("verify", item.path, ++checked, 0); !told) return told;
  }
  return select();
}

// What of it all is to be taken; read once, now that everything is published.
Result<void> Restore::select() {
  for (const auto& [uri, file] : files_) {
    if (uri == kIndexName) continue;
    if (auto read = selection_.read_own(uri, file.manifest.borrow()); !read) return read;
  }
  if (auto read = selection_.read_complete(files_.at(kIndexName).manifest.borrow()); !read) {
    return read;
  }
  std::set<std::string_view> there;
  for (const auto& item : index_) there.insert(item.file_name);
  for (const auto& [uri, path] : selection_.needed()) {
    if (there.contains(uri)) continue;
    const Error error{Code::kUnpackFailed, 0, "it was not handed over or is not in manage.json"};
    return failure(error.in("the file with '" + path + "'").in(uri));
  }
  return {};
}

Result<void> Restore::check_item(const IndexItem& item) {
  const auto found = files_.find(item.file_name);
  const std::string name = "'" + item.file_name + "'";
  if (found == files_.end()) {
    return failure(Code::kUnpackFailed, name + " is listed in manage.json and was not handed over");
  }
  struct stat state{};
  if (::fstat(found->second.content.get(), &state) != 0) return errno_failure(name);
  if (static_cast<uint64_t>(state.st_size) != item.size) {
    return failure(Code::kUnpackFailed, name + " has " + std::to_string(state.st_size) +
                                            " bytes and should have " + std::to_string(item.size));
  }
  if (item.hash.empty()) return {};
  auto hash = hash_of(found->second.content.borrow(), item.size, item.file_name);
  if (!hash) return failure(hash.error());
  if (*hash == item.hash) return {};
  return failure(Code::kUnpackFailed, name + " is damaged: its hash is not that of manage.json" +
                                          (item.is_big_file ? " (holds '" + item.path + "')" : ""));
}

Result<std::string> Restore::hash_of(BorrowedFd file, uint64_t size, const std::string& name) {
  Bytes buffer(1U << 20);
  for (uint64_t at = 0; at < size;) {
    const auto got = retry([&] {
      return ::pread(file.get(), buffer.data(), buffer.size(), static_cast<int64_t>(at));
    });
    if (got < 0) return errno_failure("read of '" + name + "'");
    if (got == 0) return failure(Code::kUnpackFailed, "'" + name + "' became shorter");
    hasher_.update(std::span(buffer).first(static_cast<size_t>(got)));
    at += static_cast<uint64_t>(got);
  }
  return hasher_.finish();
}

// The parts, then the big files, then the hard links, which may lead from either to either.
Result<void> Restore::put_all(Unpacker& unpacker) {
  for (const auto& item : index_) {
    if (item.is_big_file) continue;
    if (auto unpacked = unpack_part(item, unpacker); !unpacked) return unpacked;
  }
  for (const auto& item : index_) {
    if (!item.is_big_file || !selection_.takes(item.file_name, item.path)) continue;
    auto placed = place_big(item, files_.at(item.file_name).content.borrow(), unpacker);
    if (!placed) return placed;
    bytes_linked_ += item.size;
  }
  return unpacker.put_links();
}

Result<void> Restore::apply() {
  auto unpacker = Unpacker::make(sandbox_);
  if (!unpacker) return failure(unpacker.error());
  if (auto put = put_all(*unpacker); !put) return put;
  if (selection_.is_complete()) {
    if (auto settled = settle_rows(*unpacker); !settled) return settled;
  }
  if (auto finished = unpacker->finish(); !finished) return finished;
  if (::syncfs(sandbox_.get()) != 0) return errno_failure("sync of the sandbox");
  auto restored = hook_.on_restore(settings_);
  if (!restored) return failure(restored.error());
  if (!restored->empty()) {
    if (auto sent = link_.report(*restored); !sent) return sent;
  }
  return send_report(unpacker->entries());
}

// What has changed of an entry since it was stored, but its content, is in its row alone.
Result<void> Restore::settle_rows(Unpacker& unpacker) {
  auto reader = ManifestReader::open(files_.at(kIndexName).manifest.borrow());
  if (!reader) return failure(reader.error());
  for (;;) {
    auto next = (*reader)->next();
    if (!next) return failure(next.error());
    const auto& row = *next;
    if (!row) return {};
    Entry entry;
    entry.path = row->path;
    entry.type = row->type;
    entry.mode = row->mode & 07777U;
    entry.uid = row->uid;
    entry.gid = row->gid;
    entry.mtime = row->mtime;
    if (auto settled = unpacker.settle(entry); !settled) return settled;
    (void)link_.progress("commit", entry.path, unpacker.entries(), bytes_unpacked_);
  }
}

Result<void> Restore::unpack_part(const IndexItem& item, Unpacker& unpacker) {
  TarReader reader(files_.at(item.file_name).content.borrow(), item.size);
  uint64_t entries = 0;
  for (;;) {
    auto next = reader.next();
    if (!next) return failure(next.error().in(item.file_name));
    const auto& entry = *next;
    if (!entry) break;
    ++entries;
    if (!selection_.takes(item.file_name, entry->path)) continue;
    if (auto put = unpacker.put(*entry, reader); !put) {
      return failure(put.error().in(item.file_name));
    }
    bytes_unpacked_ += entry->size;
    // The result stands when the service has gone meanwhile: the sandbox is finished all the same.
    (void)link_.progress("commit", entry->path, unpacker.entries(), bytes_unpacked_);
  }
  if (item.entries == entries || item.entries == 0) return {};
  return failure(Code::kUnpackFailed, "'" + item.file_name + "' has " + std::to_string(entries) +
                                          " entries and should have " +
                                          std::to_string(item.entries));
}

Result<void> Restore::place_big(const IndexItem& item, BorrowedFd file, Unpacker& unpacker) {
  Entry entry;
  entry.path = item.path;
  entry.type = EntryType::kFile;
  entry.mode = item.mode & 07777U;
  entry.uid = item.uid;
  entry.gid = item.gid;
  entry.size = item.size;
  entry.mtime = item.modification;
  if (auto put = unpacker.put_file(entry, file); !put) return put;
  for (const auto& name : item.links) {
    if (!selection_.takes(item.file_name, name)) continue;
    Entry link = entry;
    link.path = name;
    link.type = EntryType::kHardLink;
    link.link_target = item.path;
    if (auto put = unpacker.put_link(link); !put) return put;
  }
  return {};
}

Result<void> Restore::send_report(uint64_t entries) {
  Tally tally;
  tally.kind = selection_.is_complete() ? "incremental" : "full";
  tally.stored = entries;
  tally.bytes_moved = bytes_unpacked_;
  tally.bytes_shared = bytes_linked_;
  tally.spent = std::chrono::steady_clock::now() - start_;
  return link_.report(result_report(tally, nlohmann::json::object()));
}

}  // namespace

Result<void> restore(BorrowedFd sandbox, const Settings& settings, Hook& hook, Link& link) {
  return Restore(sandbox, settings, hook, link).run();
}

}  // namespace backupkit
