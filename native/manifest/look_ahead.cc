#include "native/manifest/look_ahead.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace backupkit {
namespace {

constexpr size_t kMostDirectories = 8;
constexpr size_t kMostNames = 512;
constexpr size_t kBuffer = size_t{64} << 10U;

// False: it has too many names, or cannot be read.
bool look_at(LookedAt& found, std::vector<char>& buffer) {
  const BorrowedFd directory = found.directory.borrow();
  if (::fstat(directory.get(), &found.status) != 0) return false;
  const auto take = [&](DirectoryName name) {
    found.names.push_back(std::move(name));
    return found.names.size() <= kMostNames;
  };
  if (!each_name(directory, buffer, take) || found.names.size() > kMostNames) return false;
  settle_names(found.names);
  found.looks.resize(found.names.size());
  for (size_t i = 0; i < found.names.size(); ++i) {
    Look& look = found.looks[i];
    const char* name = found.names[i].text.c_str();
    const int done = ::fstatat(directory.get(), name, &look.status, AT_SYMLINK_NOFOLLOW);
    look.problem = done == 0 ? 0 : errno;
  }
  return true;
}

}  // namespace

LookAhead::~LookAhead() {
  {
    const std::lock_guard held(mutex_);
    is_ended_ = true;
  }
  begun_.notify_all();
  for (auto& thread : threads_) thread.join();
}

bool LookAhead::has_room() const { return most_threads_ > 0 && held_ < kMostDirectories; }

LookAhead::Looking LookAhead::begin(UniqueFd directory, std::string name) {
  if (threads_.empty()) start_threads();
  auto job = std::make_shared<Job>();
  job->name = std::move(name);
  job->found.directory = std::move(directory);
  ++held_;
  {
    const std::lock_guard held(mutex_);
    waiting_.push_back(job);
  }
  begun_.notify_one();
  return {*this, std::move(job)};
}

// As many as there can be; without any, finish() does it all.
void LookAhead::start_threads() {
  buffer_.resize(kBuffer);
  try {
    while (threads_.size() < most_threads_) threads_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {
    return;
  }
}

std::optional<LookedAt> LookAhead::finish(Job& job) {
  std::unique_lock held(mutex_);
  while (job.state != State::kDone) {
    std::shared_ptr<Job> other;
    if (job.state == State::kWaiting) {
      other = *std::ranges::find(waiting_, &job, &std::shared_ptr<Job>::get);
      std::erase(waiting_, other);
      other->state = State::kTaken;
    } else {
      other = take_waiting();
    }
    if (!other) {
      done_.wait(held);
      continue;
    }
    held.unlock();
    do_one(*other, buffer_);
    held.lock();
  }
  if (!job.is_whole) return std::nullopt;
  return std::move(job.found);
}

void LookAhead::drop(const Job& job) {
  const std::lock_guard held(mutex_);
  std::erase_if(waiting_, [&](const auto& waiting) { return waiting.get() == &job; });
  --held_;
}

// Under the lock. Null: none is waiting.
std::shared_ptr<LookAhead::Job> LookAhead::take_waiting() {
  if (waiting_.empty()) return nullptr;
  auto job = std::move(waiting_.front());
  waiting_.pop_front();
  job->state = State::kTaken;
  return job;
}

void LookAhead::do_one(Job& job, std::vector<char>& buffer) {
  const bool is_whole = look_at(job.found, buffer);
  {
    const std::lock_guard held(mutex_);
    job.is_whole = is_whole;
    job.state = State::kDone;
  }
  done_.notify_one();
}

void LookAhead::work() {
  std::vector<char> buffer(kBuffer);
  std::unique_lock held(mutex_);
  while (!is_ended_) {
    const auto job = take_waiting();
    if (!job) {
      begun_.wait(held);
      continue;
    }
    held.unlock();
    do_one(*job, buffer);
    held.lock();
  }
}

}  // namespace backupkit
