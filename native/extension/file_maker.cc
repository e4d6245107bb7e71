#include "native/extension/file_maker.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <system_error>
#include <utility>

#include "native/base/syscall.h"
#include "native/io/read.h"
#include "native/io/write.h"

namespace backupkit {
namespace {

constexpr uint64_t kFewFiles = 64;  // of them all, that are not worth a thread
constexpr size_t kMostOpen = 1024;
constexpr size_t kMostThreads = 4;
constexpr size_t kPiece = size_t{64} << 10U;

Result<void> copy_in(const NewFile& file, BorrowedFd into) {
  if (file.content.keeper) return write_all(into, file.content.bytes, "write");
  std::array<char, kPiece> buffer;  // NOLINT(*-member-init): filled below
  for (uint64_t at = 0; at < file.size;) {
    const auto size = static_cast<size_t>(std::min<uint64_t>(buffer.size(), file.size - at));
    auto read = read_exactly(file.archive, std::span(buffer).first(size), file.offset + at);
    if (!read) return failure(read.error());
    if (!*read) return failure(Code::kUnpackFailed, "the archive became shorter");
    const std::span bytes(reinterpret_cast<const uint8_t*>(buffer.data()), size);
    if (auto written = write_all(into, bytes, "write"); !written) return written;
    at += size;
  }
  return {};
}

Result<void> make(const NewFile& file) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const UniqueFd made(retry(
      [&] { return ::openat(file.directory->get(), file.name.c_str(), kFlags, mode_t{0600}); }));
  if (!made.is_open()) return errno_failure("create");
  if (auto copied = copy_in(file, made.borrow()); !copied) return copied;
  return set_metadata(made.borrow(), file.metadata);
}

}  // namespace

FileMaker::~FileMaker() {
  {
    const std::lock_guard held(mutex_);
    is_ended_ = true;
  }
  for (auto& lane : lanes_) {
    lane->filled.notify_one();
    lane->thread.join();
  }
}

size_t FileMaker::usual_threads() {
  cpu_set_t ours{};
  if (::sched_getaffinity(0, sizeof(ours), &ours) != 0) return 0;
  const auto processors = static_cast<size_t>(CPU_COUNT(&ours));
  return processors < 2 ? 0 : std::min(processors, kMostThreads);
}

Result<void> FileMaker::add(NewFile file) {
  if (++added_ == kFewFiles) start_threads();
  if (lanes_.empty()) {
    auto made = make(file);
    if (!made) return failure(made.error().in("'" + file.path + "'"));
    return {};
  }
  if (file.directory != directory_) {
    directory_ = file.directory;
    lane_ = (lane_ + 1) % lanes_.size();
  }
  Lane& lane = *lanes_[lane_];
  std::unique_lock held(mutex_);
  emptied_.wait(held, [&] { return open_ < kMostOpen || error_; });
  if (error_) return error();
  lane.files.push_back(std::move(file));
  ++open_;
  held.unlock();
  lane.filled.notify_one();
  return {};
}

Result<void> FileMaker::finish() {
  std::unique_lock held(mutex_);
  emptied_.wait(held, [&] { return open_ == 0; });
  return error();
}

Result<void> FileMaker::error() const {
  if (error_) return failure(*error_);
  return {};
}

void FileMaker::start_threads() {
  while (lanes_.size() < most_threads_ && start_thread()) {
  }
}

// False: there can be no more.
bool FileMaker::start_thread() {
  auto lane = std::make_unique<Lane>();
  try {
    lane->thread = std::thread([this, made = lane.get()] { work(*made); });
  } catch (const std::system_error&) {
    return false;
  }
  lanes_.push_back(std::move(lane));
  return true;
}

void FileMaker::work(Lane& lane) {
  std::unique_lock held(mutex_);
  for (;;) {
    lane.filled.wait(held, [&] { return !lane.files.empty() || is_ended_; });
    if (lane.files.empty()) return;
    NewFile file = std::move(lane.files.front());
    lane.files.pop_front();
    const bool is_vain = error_.has_value();
    held.unlock();
    auto made = is_vain ? Result<void>() : make(file);
    file.content = {};
    held.lock();
    if (!made && !error_) error_ = made.error().in("'" + file.path + "'");
    --open_;
    if (open_ == 0 || open_ == kMostOpen / 2 || error_) emptied_.notify_one();
  }
}

}  // namespace backupkit
