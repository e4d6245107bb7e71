#include "native/extension/intake.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/base/syscall.h"
#include "native/io/path.h"
#include "native/manifest/directory_names.h"

namespace backupkit {
namespace {

constexpr size_t kMaxIndexBytes = 256U << 20;
constexpr size_t kMaxFiles = 1'000'000;
constexpr auto kPatience = std::chrono::seconds(1);  // with those who still have a file open
constexpr auto kNextLook = std::chrono::milliseconds(2);
constexpr auto kGrowthEvery = std::chrono::seconds(10);

}  // namespace

Result<void> Intake::receive(const Unpack& unpack) {
  if (auto told = link_.progress("receive", "", 0, 0); !told) return told;
  if (auto received = receive_all(unpack); !received) return received;
  if (auto dropped = drop_strangers(); !dropped) return dropped;
  return check_all();
}

BorrowedFd Intake::content_of(const std::string& uri) const {
  return files_.at(uri).content.borrow();
}

Result<void> Intake::receive_all(const Unpack& unpack) {
  for (;;) {
    auto next = link_.next(kGrowthEvery);
    if (!next) return failure(next.error());
    auto& frame = *next;
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
      const auto uri = reader.get_text(kMaxNameText);
      auto taken = publish(request, uri, *frame);
      if (!taken) return failure(taken.error());
      if (!*taken) continue;
      if (uri.empty()) return {};
      if (auto gone = go_ahead(uri, unpack); !gone) return gone;
    }
  }
}

// A client that writes one file for an hour makes progress all the same.
Result<void> Intake::notice_growth() {
  uint64_t bytes = 0;
  for (const auto& [uri, file] : files_) {
    if (file.is_foreign || file.is_unpacked) continue;
    struct stat state{};
    if (::fstat(file.content.get(), &state) != 0) return errno_failure("'" + uri + "'");
    bytes += static_cast<uint64_t>(state.st_size);
  }
  if (bytes == bytes_received_) return {};
  bytes_received_ = bytes;
  return link_.progress("receive", "", files_.size(), bytes);
}

Result<void> Intake::give_handle(const std::string& uri) {
  auto made = make_handle(uri);
  if (made || made.error().code == Code::kClosed) return made;
  return link_.send_file_error(uri, made.error());
}

Result<void> Intake::check_room() const {
  if (files_.size() < kMaxFiles) return {};
  return failure(Code::kOutOfMemory,
                 "a restore takes at most " + std::to_string(kMaxFiles) + " files");
}

Result<void> Intake::make_handle(const std::string& uri) {
  if (auto room = check_room(); !room) return room;
  if (uri == kIndexName && goes_ahead_) {
    return failure(Code::kNotPermitted, "parts are unpacked already as 'manage.json' says");
  }
  auto file = make_file(uri);
  if (!file) return failure(file.error().in("a file for '" + uri + "'"));
  auto kept = reopen_readonly(file->borrow());
  if (!kept) return failure(kept.error().in("a file for '" + uri + "'"));
  UniqueFd manifest(::memfd_create("manifest", MFD_CLOEXEC));
  if (!manifest.is_open()) return errno_failure("a manifest for '" + uri + "'");
  auto manifest_kept = reopen_readonly(manifest.borrow());
  if (!manifest_kept) return failure(manifest_kept.error());
  files_[uri] = {.content = std::move(*kept), .manifest = std::move(*manifest_kept)};
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(*file));
  fds.push_back(std::move(manifest));
  auto sent = link_.send_file(uri, std::move(fds));
  if (!sent) return failure(sent.error());
  return {};
}

Result<UniqueFd> Intake::make_file(const std::string& uri) {
  if (received_.get() < 0) return unnamed_file(sandbox_);
  // One that was handed out has a reader elsewhere, and its size may be counted on.
  if (uri == kIndexName || files_.contains(uri)) {
    if (auto removed = remove_tree(received_, uri); !removed) return failure(removed.error());
  }
  return named_file(uri);
}

Result<UniqueFd> Intake::named_file(const std::string& uri) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  const auto open = [&] {
    return retry([&] { return ::openat(received_.get(), uri.c_str(), kFlags, mode_t{0600}); });
  };
  UniqueFd file(open());
  // It may have got the mode that it will have in the sandbox.
  if (!file.is_open() && errno == EACCES &&
      ::fchmodat(received_.get(), uri.c_str(), 0600, AT_SYMLINK_NOFOLLOW) == 0) {
    file.reset(open());
  }
  struct stat found{};
  const bool is_good = file.is_open() && ::fstat(file.get(), &found) == 0 && S_ISREG(found.st_mode);
  if (is_good) return file;
  if (auto removed = remove_tree(received_, uri); !removed) return failure(removed.error());
  file.reset(open());
  if (!file.is_open()) return errno_failure("create");
  return file;
}

// Removes what an interrupted restore has received and this one does not have.
Result<void> Intake::drop_strangers() {
  if (received_.get() < 0) return {};
  std::vector<char> buffer(size_t{64} << 10U);
  auto names = read_names(received_, buffer);
  if (!names) return failure(names.error());
  for (const auto& name : *names) {
    const auto known = files_.find(name.text);
    if (known != files_.end() && !known->second.is_foreign) continue;
    if (auto removed = remove_tree(received_, name.text); !removed) return removed;
  }
  return {};
}

Result<void> Intake::drop(const std::string& uri) {
  files_.at(uri).content.reset();
  if (received_.get() < 0) return {};
  return remove_tree(received_, uri);
}

Result<std::string> Intake::identity(std::string_view settings) {
  Hasher hasher;
  hasher.update({reinterpret_cast<const uint8_t*>(settings.data()), settings.size()});
  const auto add = [&](const std::string& name, BorrowedFd file) -> Result<void> {
    struct stat state{};
    if (file.is_open() && ::fstat(file.get(), &state) != 0) {
      return errno_failure("'" + name + "'");
    }
    auto hash = hash_of(file, static_cast<uint64_t>(state.st_size), name);
    if (!hash) return failure(hash.error());
    const auto line = name + " " + *hash + "\n";
    hasher.update({reinterpret_cast<const uint8_t*>(line.data()), line.size()});
    return {};
  };
  if (auto added = add(kIndexName, content_of(kIndexName)); !added) return failure(added.error());
  if (selection_.is_complete()) {  // the others' manifests say nothing then
    if (auto added = add("", manifest()); !added) return failure(added.error());
    return hasher.finish();
  }
  for (const auto& [uri, file] : files_) {
    if (auto added = add(uri, file.manifest.borrow()); !added) return failure(added.error());
  }
  return hasher.finish();
}

// False: that is refused, and the one who asked knows.
Result<bool> Intake::publish(uint32_t request, const std::string& uri, Frame& frame) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  Result<void> checked;
  if (frame.lost_fds || !frame.fds.empty()) {
    checked = take(uri, frame);
  } else if (!uri.empty()) {
    checked = check_published(uri, until);
  } else {
    for (const auto& [name, file] : files_) {
      if (checked = check_published(name, until); !checked) break;
    }
  }
  std::optional<Error> refusal;
  if (!checked) refusal = checked.error();
  if (auto told = link_.published(request, refusal); !told) return failure(told.error());
  return !refusal;
}

Result<void> Intake::take(const std::string& uri, Frame& frame) {
  if (frame.lost_fds) return failure(Code::kOutOfMemory, "no descriptor is free for '" + uri + "'");
  if (uri == kIndexName) {
    return failure(Code::kInvalidArgument, "'" + uri + "' is written where it was asked for");
  }
  if (auto room = check_room(); !room) return room;
  files_[uri] = {
      .content = std::move(frame.fds[0]), .manifest = {}, .is_foreign = true, .is_published = true};
  return {};
}

Result<void> Intake::check_published(const std::string& uri,
                                     std::chrono::steady_clock::time_point until) {
  const auto found = files_.find(uri);
  if (found == files_.end()) {
    return failure(Code::kInvalidArgument, "'" + uri + "' was never asked for");
  }
  if (found->second.is_foreign || found->second.is_unpacked) return {};
  auto written = await_writers(found->second.content.borrow(), until);
  if (!written) return failure(written.error().in("'" + uri + "'"));
  if (*written == Writers::kSome) {
    return failure(Code::kNotPermitted, "'" + uri + "' is still open for writing: close it first");
  }
  return {};
}

// None as soon as there are none, else who there is at `until`. The service's descriptors and ours
// go when the client has said that it closed its own; and a program that it starts meanwhile has
// them, though they are close-on-exec, from fork(2) to execve(2).
Result<Writers> Intake::await_writers(BorrowedFd file,
                                      std::chrono::steady_clock::time_point until) {
  for (;;) {
    auto writers = writers_of(file);
    const auto now = std::chrono::steady_clock::now();
    if (!writers || *writers != Writers::kSome || now >= until) return writers;
    // Nothing tells when a writer is gone: the event of inotify(7) comes just before.
    auto heard = link_.await(BorrowedFd(), false, std::min(until, now + kNextLook));
    if (!heard) return failure(heard.error());
  }
}

// Unpacks what can be, now that `uri` is published by its name.
Result<void> Intake::go_ahead(const std::string& uri, const Unpack& unpack) {
  files_.at(uri).is_published = true;
  if (uri != kIndexName) return unpack_now(uri, unpack);
  if (goes_ahead_) return {};  // by the same: no other one can be asked for any more
  if (auto complete = selection_.read_complete(manifest()); !complete) return complete;
  if (!selection_.is_complete()) return {};
  goes_ahead_ = true;
  if (auto read = read_items(); !read) return read;
  for (const auto& item : index_) ahead_[item.file_name] = &item;
  for (const auto& [name, file] : files_) {
    if (auto unpacked = unpack_now(name, unpack); !unpacked) return unpacked;
  }
  return {};
}

// A part with a hash, as it can only be the same when it is asked for again. What a damaged one
// has brought into the stage is undone with all the rest.
Result<void> Intake::unpack_now(const std::string& uri, const Unpack& unpack) {
  const auto found = ahead_.find(uri);
  auto& file = files_.at(uri);
  if (found == ahead_.end() || !file.is_published || file.is_unpacked) return {};
  const auto& item = *found->second;
  if (item.is_big_file || item.hash.empty()) return {};
  if (auto good = check_size(item); !good) return good;
  if (auto unpacked = unpack(item); !unpacked) {
    if (auto good = check_item(item); !good) return good;  // that is why, whatever it met
    return unpacked;
  }
  file.is_unpacked = true;
  return {};
}

Result<void> Intake::read_items() {
  const auto found = files_.find(kIndexName);
  if (found == files_.end()) {
    return failure(Code::kUnpackFailed, "manage.json is missing: hand it over, too");
  }
  auto bytes = read_file(found->second.content.borrow(), kMaxIndexBytes);
  if (!bytes) return failure(bytes.error().in(kIndexName));
  auto items = read_index(std::string(bytes->begin(), bytes->end()));
  if (!items) return failure(items.error().in(kIndexName));
  index_ = std::move(*items);
  return {};
}

Result<void> Intake::check_all() {
  if (!goes_ahead_) {
    if (auto read = read_items(); !read) return read;
  }
  uint64_t checked = 0;
  for (const auto& item : index_) {
    const auto found = files_.find(item.file_name);
    if (found != files_.end() && found->second.is_unpacked) continue;
    if (auto good = check_item(item); !good) return good;
    if (auto told = link_.progress("verify", item.path, ++checked, 0); !told) return told;
  }
  return select();
}

// What of it all is to be taken; read once, now that everything is published.
Result<void> Intake::select() {
  for (const auto& [uri, file] : files_) {
    if (goes_ahead_ || uri == kIndexName || file.is_foreign) continue;
    if (auto read = selection_.read_own(uri, file.manifest.borrow()); !read) return read;
  }
  if (!goes_ahead_) {
    if (auto read = selection_.read_complete(manifest()); !read) return read;
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

Result<void> Intake::check_item(const IndexItem& item) {
  if (auto good = check_size(item); !good || item.hash.empty()) return good;
  auto hash = hash_of(content_of(item.file_name), item.size, item.file_name);
  if (!hash) return failure(hash.error());
  return check_hash(item, *hash);
}

Result<void> Intake::check_hash(const IndexItem& item, const std::string& hash) {
  if (hash == item.hash) return {};
  return failure(Code::kUnpackFailed, "'" + item.file_name +
                                          "' is damaged: its hash is not that of manage.json" +
                                          (item.is_big_file ? " (holds '" + item.path + "')" : ""));
}

Result<void> Intake::check_size(const IndexItem& item) {
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
  return {};
}

Result<std::string> Intake::hash_of(BorrowedFd file, uint64_t size, const std::string& name) {
  Bytes buffer(size_t{256} << 10U);
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

}  // namespace backupkit
