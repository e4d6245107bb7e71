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
#include <optional>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "native/io/path.h"
#include "native/manifest/change.h"

namespace backupkit {
namespace {

constexpr size_t kMostItems = 512;
constexpr uint64_t kMostDirectories = 32;
constexpr uint64_t kMostBytes = uint64_t{8} << 20U;
constexpr uint64_t kHeaderBytes = 2048;  // an archive's usual, and what fills up the last block
constexpr size_t kBatch = 32;            // of entries, that are worth a wake-up
constexpr uint64_t kFewEntries = 64;     // of them all, that are not worth a thread
constexpr uint64_t kMostFileBytes = uint64_t{256} << 10U;  // the kernel's own copy is better then
constexpr size_t kMostThreads = 3;
// At a time by one thread: enough that it is worth a wake-up, few enough not to be waited for.
constexpr size_t kMostTaken = 16;
constexpr uint64_t kMostTakenBytes = uint64_t{128} << 10U;
constexpr rlim_t kEnoughDescriptors = 512;

Timestamp now() {
  timespec time{};
  (void)::clock_gettime(CLOCK_REALTIME, &time);  // it cannot fail
  return {time.tv_sec, static_cast<uint32_t>(time.tv_nsec)};
}

// How many bytes of memory it takes to read it.
uint64_t cost_of(const ScanEntry& found) { return found.size + kHeaderBytes; }

// The walk needs some, too, and what it cannot open it would call unreadable.
bool has_enough_descriptors() {
  rlimit files{};
  return ::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur >= kEnoughDescriptors;
}

}  // namespace

ReadAhead::ReadAhead(const Options& options, Handlers handlers)
    : options_(options), handlers_(std::move(handlers)), reader_{{}, reader_of_files()} {
  options_.limit = std::min(options_.limit, kMostFileBytes);
  if (!has_enough_descriptors()) options_.threads = 0;
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard held(mutex_);
    is_ended_ = true;
  }
  filled_.notify_one();
  waiting_.notify_all();
  if (handing_.joinable()) handing_.join();
  for (auto& thread : threads_) thread.join();
}

size_t ReadAhead::usual_threads() {
  cpu_set_t ours{};
  if (!has_enough_descriptors()) return 0;
  if (::sched_getaffinity(0, sizeof(ours), &ours) != 0) return 0;
  const auto processors = static_cast<size_t>(CPU_COUNT(&ours));
  return processors < 2 ? 0 : std::min(processors - 1, kMostThreads);
}

Result<void> ReadAhead::visit(const ScanEntry& found) {
  if (options_.threads == 0) return handlers_.visit(found, nullptr);
  auto is_held = found.is_moved ? Result<bool>(false) : hold_directory(found);
  if (!is_held) return failure(is_held.error());
  if (!*is_held) {  // it goes on as without us
    if (auto done = await_empty(); !done) return done;
    return handlers_.visit(found, nullptr);
  }
  Item item{.entry = found, .directory = directory_, .looked = now()};
  auto& entry = std::get<ScanEntry>(item.entry);
  if (found.parent.is_open()) entry.parent = directory_->fd.borrow();
  if (may_read(entry)) item.state = State::kWaiting;
  return push(std::move(item));
}

Result<void> ReadAhead::miss(const Missed& missed) {
  return options_.threads == 0 ? handlers_.miss(missed) : push({.entry = missed});
}

Result<void> ReadAhead::finish() { return await_empty(); }

// Waits until everything was handed on.
Result<void> ReadAhead::await_empty() {
  if (auto flushed = flush(); !flushed) return flushed;
  std::unique_lock held(mutex_);
  is_stuck_ = true;
  filled_.notify_one();
  emptied_.wait(held, [&] { return error_ || (window_.empty() && !is_handing_); });
  is_stuck_ = false;
  return error_ ? failure(*error_) : Result<void>{};
}

// Makes the entry's directory the current one. False: there is no descriptor left for it.
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
  return options_.reads && S_ISREG(found.mode) && found.links == 1 && found.size > 0 &&
         found.size <= options_.limit && found.parent.is_open();
}

Result<void> ReadAhead::push(Item item) {
  if (++pushed_ == kFewEntries) start_threads();
  if (!handing_.joinable()) return hand_on(item);
  item.number = directory_ ? directory_->number : 0;
  staged_.push_back(std::move(item));
  return staged_.size() < kBatch ? Result<void>{} : flush();
}

// Puts what is staged into the window; when that is full, waits until half of it is free, so that
// nobody is woken up for each entry.
Result<void> ReadAhead::flush() {
  if (staged_.empty()) return {};
  std::unique_lock held(mutex_);
  newest_ = staged_.back().number;
  for (auto& item : staged_) {
    if (item.state == State::kWaiting) bytes_ += cost_of(std::get<ScanEntry>(item.entry));
    window_.push_back(std::move(item));
  }
  staged_.clear();
  filled_.notify_one();
  if (options_.reads) waiting_.notify_all();
  if (!error_ && !has_room(1)) {
    is_stuck_ = true;
    emptied_.wait(held, [&] { return error_ || has_room(2); });
    is_stuck_ = false;
  }
  return error_ ? failure(*error_) : Result<void>{};
}

// Whether that part of the window is free: 2 is a half.
bool ReadAhead::has_room(size_t part) const {
  if (window_.empty()) return true;
  return window_.size() < kMostItems / part && bytes_ < kMostBytes / part &&
         newest_ - window_.front().number < kMostDirectories / part;
}

// Waits until something has come or has been read, or may have.
void ReadAhead::await_filled(std::unique_lock<std::mutex>& held) {
  if (is_idle_) return filled_.wait(held);
  is_idle_ = true;
  is_handing_ = true;
  held.unlock();
  const auto idled = handlers_.idle();
  held.lock();
  is_handing_ = false;
  if (!idled && !error_) error_ = idled.error();
  if (error_ || is_stuck_) emptied_.notify_one();
}

// Waits until the first item has been read if it is to be, and helps meanwhile.
void ReadAhead::await_first(std::unique_lock<std::mutex>& held) {
  while (!is_ready(window_.front())) {
    if (take_waiting(reader_)) {
      held.unlock();
      read_taken(reader_);
      held.lock();
    } else {
      await_filled(held);
    }
  }
}

// Takes the first items out, which are ready.
void ReadAhead::take_batch(std::vector<Item>& batch) {
  do {
    batch.push_back(std::move(window_.front()));
    window_.pop_front();
    if (next_ > 0) --next_;
  } while (batch.size() < kBatch && !window_.empty() && is_ready(window_.front()));
}

Result<void> ReadAhead::hand_on(Item& item) const {
  const auto* missed = std::get_if<Missed>(&item.entry);
  if (missed != nullptr) return handlers_.miss(*missed);
  return handlers_.visit(std::get<ScanEntry>(item.entry), item.read ? &*item.read : nullptr);
}

// As many as there can be.
void ReadAhead::start_threads() {
  const size_t readers = options_.reads ? options_.threads : 0;
  try {
    handing_ = std::thread([this] { hand_on_all(); });
    while (threads_.size() < readers) threads_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {
    return;
  }
}

void ReadAhead::hand_on_all() {
  std::vector<Item> batch;
  std::unique_lock held(mutex_);
  while (!error_ && !is_ended_) {
    if (window_.empty()) {
      await_filled(held);
      continue;
    }
    await_first(held);
    take_batch(batch);
    is_handing_ = true;
    held.unlock();
    Result<void> handed;
    uint64_t bytes = 0;
    for (auto& item : batch) {
      if (item.state != State::kSkipped) bytes += cost_of(std::get<ScanEntry>(item.entry));
      if (handed) handed = hand_on(item);
      item = {};
    }
    batch.clear();
    held.lock();
    is_handing_ = false;
    is_idle_ = false;
    bytes_ -= bytes;
    if (!handed) error_ = handed.error();
    if (error_ || (is_stuck_ && has_room(2))) emptied_.notify_one();
  }
}

void ReadAhead::work() {
  Reader reader{.taken = {}, .files = reader_of_files()};
  std::unique_lock held(mutex_);
  while (!is_ended_) {
    if (!take_waiting(reader)) {
      waiting_.wait(held);
      continue;
    }
    held.unlock();
    read_taken(reader);
    held.lock();
  }
}

// Under the lock. False: nothing is waiting.
bool ReadAhead::take_waiting(Reader& reader) {
  reader.taken.clear();
  uint64_t bytes = 0;
  for (; next_ < window_.size() && reader.taken.size() < kMostTaken; ++next_) {
    Item& item = window_[next_];
    if (item.state != State::kWaiting) continue;
    if (bytes >= kMostTakenBytes) break;
    bytes += std::get<ScanEntry>(item.entry).size;
    item.state = State::kTaken;
    reader.taken.push_back(&item);
  }
  return !reader.taken.empty();
}

void ReadAhead::read_taken(Reader& reader) {
  for (Item* item : reader.taken) {
    auto& found = std::get<ScanEntry>(item->entry);
    if (!is_racy(found, item->looked)) item->read = reader.files.read(found);
  }
  {
    const std::lock_guard held(mutex_);
    for (Item* item : reader.taken) item->state = State::kDone;
  }
  filled_.notify_one();
}

}  // namespace backupkit
