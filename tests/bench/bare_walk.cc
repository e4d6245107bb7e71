// bare_walk DIRECTORY [WORKERS]: asks the kernel for every entry below a directory and what it is,
// and does nothing with it. The least that it can cost to find out that nothing has changed. Prints
// how many entries there are.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "backupkit/unique_fd.h"

namespace backupkit {
namespace {

constexpr size_t kBuffer = size_t{64} << 10U;

// The directories that are still to be read, and those that are being read.
class Queue {
 public:
  void add(std::string directory) {
    const std::scoped_lock lock(mutex_);
    waiting_.push_back(std::move(directory));
    ++unread_;
    changed_.notify_one();
  }

  // False: all have been read.
  bool take(std::string& directory) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !waiting_.empty() || unread_ == 0; });
    if (waiting_.empty()) return false;
    directory = std::move(waiting_.back());
    waiting_.pop_back();
    return true;
  }

  void finish() {
    const std::scoped_lock lock(mutex_);
    if (--unread_ == 0) changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> waiting_;
  uint64_t unread_ = 0;
};

[[noreturn]] void fail(const std::string& path) {
  std::perror(path.c_str());
  std::exit(1);
}

// Looks at an entry, whatever it is; true for a directory.
bool look(BorrowedFd parent, const char* name, const std::string& path) {
  struct statx status{};
  if (::statx(parent.get(), name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &status) != 0) fail(path);
  return S_ISDIR(status.stx_mode);
}

// Gives how many entries are in a directory; the directories among them are yet to be read.
uint64_t read(const std::string& path, Queue& queue) {
  const UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.is_open()) fail(path);
  alignas(dirent64) std::array<char, kBuffer> buffer;
  uint64_t entries = 0;
  while (true) {
    const auto size = ::getdents64(directory.get(), buffer.data(), buffer.size());
    if (size < 0) fail(path);
    if (size == 0) return entries;
    for (size_t at = 0; at < static_cast<size_t>(size);) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer.data() + at);
      at += entry->d_reclen;
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      ++entries;
      if (look(directory.borrow(), entry->d_name, path)) queue.add(path + "/" + entry->d_name);
    }
  }
}

uint64_t walk(Queue& queue) {
  uint64_t entries = 0;
  for (std::string directory; queue.take(directory); queue.finish()) {
    entries += read(directory, queue);
  }
  return entries;
}

uint64_t walk(const char* top, unsigned workers) {
  Queue queue;
  queue.add(top);
  std::vector<uint64_t> counts(workers);
  {
    std::vector<std::jthread> threads;
    for (auto& count : counts) threads.emplace_back([&] { count = walk(queue); });
  }
  uint64_t entries = 0;
  for (const uint64_t count : counts) entries += count;
  return entries;
}

}  // namespace
}  // namespace backupkit

int main(int argc, char** argv) {
  const int workers = argc > 2 ? std::atoi(argv[2]) : 1;
  if (argc < 2 || workers < 1) {
    std::fputs("usage: bare_walk DIRECTORY [WORKERS]\n", stderr);
    return 2;
  }
  std::printf("%ju\n", uintmax_t{backupkit::walk(argv[1], static_cast<unsigned>(workers))});
  return 0;
}
