#include "native/extension/read_ahead.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>
#include <variant>

#include "native/base/syscall.h"
#include "native/extension/attributes.h"
#include "native/extension/metadata.h"
#include "native/manifest/change.h"

namespace backupkit {
namespace {

constexpr size_t kMostItems = 512;
constexpr uint64_t kMostDirectories = 32;
constexpr uint64_t kMostBytes = uint64_t{8} << 20U;
constexpr uint64_t kFewEntries = 64;  // of them all, that are not worth a thread
constexpr uint64_t kMostFileBytes = uint64_t{256} << 10U;  // the kernel's own copy is better then
constexpr size_t kMostThreads = 3;
constexpr rlim_t kEnoughDescriptors = 512;

Timestamp now() {
  timespec time{};
  (void)::clock_gettime(CLOCK_REALTIME, &time);  // it cannot fail
  return {time.tv_sec, static_cast<uint32_t>(time.tv_nsec)};
}

// Whether the look that `found` is of saw this very state.
bool is_same(const ScanEntry& found, const struct stat& status) {
  ScanEntry now;
  fill(now, status);
  return now.inode == found.inode && now.device == found.device && now.mode == found.mode &&
         now.size == found.size && now.mtime == found.mtime && now.ctime == found.ctime;
}

bool read_whole(BorrowedFd file, uint8_t* into, size_t size) {
  while (size > 0) {
    const auto got = retry([&] { return ::read(file.get(), into, size); });
    if (got <= 0) return false;
    into += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

}  // namespace

ReadAhead::ReadAhead(const Options& options, Handlers handlers)
    : options_(options), handlers_(std::move(handlers)) {
  options_.limit = std::min(options_.limit, kMostFileBytes);
  // The walk needs some, too, and what it cannot open it would call unreadable.
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur < kEnoughDescriptors) {
    options_.threads = 0;
  }
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard held(mutex_);
    is_ended_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

size_t ReadAhead::usual_threads() {
  cpu_set_t ours{};
  if (::sched_getaffinity(0, sizeof(ours), &ours) != 0) return 0;
  const auto processors = static_cast<size_t>(CPU_COUNT(&ours));
  return processors < 2 ? 0 : std::min(processors - 1, kMostThreads);
}

Result<void> ReadAhead::visit(const ScanEntry& found) {
  if (options_.threads == 0) return handlers_.visit(found, nullptr);
  auto is_held = hold_directory(found);
  if (!is_held) return failure(is_held.error());
  if (!*is_held) {  // there is no descriptor left: it goes on as without us
    if (auto done = finish(); !done) return done;
    return handlers_.visit(found, nullptr);
  }
  Item item{.entry = found, .directory = directory_, .looked = now()};
  auto& entry = std::get<ScanEntry>(item.entry);
  if (found.parent.is_open()) entry.parent = directory_->fd.borrow();
  if (may_read(entry)) {
    item.state = State::kWaiting;
    bytes_ += entry.size;
  }
  return push(std::move(item));
}

Result<void> ReadAhead::miss(const Missed& missed) {
  return options_.threads == 0 ? handlers_.miss(missed) : push({.entry = missed});
}

Result<void> ReadAhead::finish() {
  while (!window_.empty()) {
    if (auto handed = hand_on(); !handed) return handed;
  }
  return {};
}

// Makes the entry's directory the current one. False: it cannot be held open.
Result<bool> ReadAhead::hold_directory(const ScanEntry& found) {
  auto path = found.path == "." ? ".." : parent_name(found.path);
  if (directory_ && directory_->path == path) return true;
  auto next = std::make_shared<Directory>();
  next->number = directory_ ? directory_->number + 1 : 1;
  next->path = std::move(path);
  if (found.parent.is_open()) {
    next->fd.reset(::fcntl(found.parent.get(), F_DUPFD_CLOEXEC, 0));
    if (!next->fd.is_open() && errno != EMFILE && errno != ENFILE) {
      return errno_failure("a directory");
    }
    if (!next->fd.is_open()) {
      directory_.reset();
      return false;
    }
  }
  directory_ = std::move(next);
  return true;
}

bool ReadAhead::may_read(const ScanEntry& found) const {
  return S_ISREG(found.mode) && found.links == 1 && found.size > 0 &&
         found.size <= options_.limit && found.parent.is_open();
}

Result<void> ReadAhead::push(Item item) {
  const bool is_waiting = item.state == State::kWaiting;
  {
    const std::lock_guard held(mutex_);
    window_.push_back(std::move(item));
  }
  if (++pushed_ == kFewEntries) start_threads();
  if (is_waiting && !threads_.empty()) changed_.notify_one();
  while (is_full()) {
    if (auto handed = hand_on(); !handed) return handed;
  }
  return {};
}

bool ReadAhead::is_full() const {
  if (threads_.empty()) return !window_.empty();
  if (window_.size() >= kMostItems || bytes_ >= kMostBytes) return true;
  const auto& oldest = window_.front().directory;
  return oldest && directory_ && directory_->number - oldest->number >= kMostDirectories;
}

// Takes the first item out; helps until it has been read if a thread is about it.
ReadAhead::Item ReadAhead::take_first() {
  std::unique_lock held(mutex_);
  while (window_.front().state == State::kTaken) {
    if (Item* other = take_waiting()) {
      held.unlock();
      read_taken(*other, hasher_);
      held.lock();
    } else {
      changed_.wait(held);
    }
  }
  Item item = std::move(window_.front());
  window_.pop_front();
  if (next_ > 0) --next_;
  return item;
}

Result<void> ReadAhead::hand_on() {
  const Item item = take_first();
  if (const auto* missed = std::get_if<Missed>(&item.entry)) return handlers_.miss(*missed);
  const auto& found = std::get<ScanEntry>(item.entry);
  if (item.state != State::kSkipped) bytes_ -= found.size;
  return handlers_.visit(found, item.read.get());
}

void ReadAhead::start_threads() {
  try {
    while (threads_.size() < options_.threads) threads_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {
    options_.threads = threads_.size();  // as many as there can be
  }
}

void ReadAhead::work() {
  Hasher hasher;
  std::unique_lock held(mutex_);
  while (!is_ended_) {
    Item* item = take_waiting();
    if (item == nullptr) {
      changed_.wait(held);
      continue;
    }
    held.unlock();
    read_taken(*item, hasher);
    held.lock();
  }
}

// Under the lock.
ReadAhead::Item* ReadAhead::take_waiting() {
  for (; next_ < window_.size(); ++next_) {
    if (window_[next_].state != State::kWaiting) continue;
    window_[next_].state = State::kTaken;
    return &window_[next_++];
  }
  return nullptr;
}

void ReadAhead::read_taken(Item& item, Hasher& hasher) {
  auto read_file = read(std::get<ScanEntry>(item.entry), item.looked, hasher);
  {
    const std::lock_guard held(mutex_);
    item.read = std::move(read_file);
    item.state = State::kDone;
  }
  changed_.notify_all();
}

// Null: it is for the backup to see what is the matter with it.
std::unique_ptr<ReadFile> ReadAhead::read(const ScanEntry& found, Timestamp looked,
                                          Hasher& hasher) const {
  if (is_racy(found, looked)) return nullptr;
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  const UniqueFd file(
      retry([&] { return ::openat(found.parent.get(), found.name.c_str(), kFlags); }));
  if (!file.is_open()) return nullptr;
  auto read = std::make_unique<ReadFile>();
  read->found = found;
  if (!read_attributes(read->found, file.borrow(), options_.labels)) return nullptr;
  if (!read->found.holes.empty()) return nullptr;
  read->bytes = std::make_unique_for_overwrite<uint8_t[]>(found.size);
  if (!read_whole(file.borrow(), read->bytes.get(), found.size)) return nullptr;
  struct stat after{};
  if (::fstat(file.get(), &after) != 0 || !is_same(found, after)) return nullptr;
  if (!options_.hashes) return read;
  hasher.update(read->content());
  read->hash = hasher.finish();
  return read;
}

}  // namespace backupkit
