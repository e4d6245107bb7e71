#include "native/extension/intake.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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
#include "native/io/tmpfile.h"

namespace backupkit {
namespace {

constexpr size_t kMaxIndexBytes = 256U << 20;
constexpr size_t kMaxFiles = 1'000'000;
constexpr auto kGrowthEvery = std::chrono::seconds(10);

}  // namespace

Result<void> Intake::receive() {
  if (auto told = link_.progress("receive", "", 0, 0); !told) return told;
  if (auto received = receive_all(); !received) return received;
  return check_all();
}

BorrowedFd Intake::content_of(const std::string& uri) const {
  return files_.at(uri).content.borrow();
}

Result<void> Intake::receive_all() {
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
Result<void> Intake::notice_growth() {
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

Result<void> Intake::give_handle(const std::string& uri) {
  auto made = make_handle(uri);
  if (made || made.error().code == Code::kClosed) return made;
  return link_.send_file_error(uri, made.error());
}

Result<void> Intake::make_handle(const std::string& uri) {
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
Result<bool> Intake::publish(uint32_t request, const std::string& uri) {
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

Result<void> Intake::check_published(const std::string& uri) {
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

Result<void> Intake::check_all() {
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
Result<void> Intake::select() {
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

Result<void> Intake::check_item(const IndexItem& item) {
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

Result<std::string> Intake::hash_of(BorrowedFd file, uint64_t size, const std::string& name) {
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

}  // namespace backupkit
