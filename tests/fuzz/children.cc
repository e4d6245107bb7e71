#include "tests/fuzz/children.h"

#include <fcntl.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "native/io/process.h"
#include "tests/fuzz/fuzzer.h"

namespace backupkit {
namespace {

UniqueFd duplicate(BorrowedFd fd) {
  UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  check(copy.is_open());
  return copy;
}

auto find(const Child& child) {
  return std::ranges::find(fake_children(), child.pidfd.get(),
                           [](const auto& fake) { return fake->pidfd; });
}

void kill(const Child& child) {
  if (!child.pidfd.is_open()) return;
  const auto found = find(child);
  check(found != fake_children().end());
  end_child(**found, 128 + SIGKILL);
}

}  // namespace

std::vector<std::unique_ptr<FakeChild>>& fake_children() {
  static std::vector<std::unique_ptr<FakeChild>> children;
  return children;
}

void end_child(FakeChild& child, int status) {
  if (!child.channel.is_open()) return;
  child.channel.reset();
  child.status = status;
  check(::eventfd_write(child.ended.get(), 1) == 0);
}

Result<Child> spawn(const std::string&, const std::vector<std::string>& arguments,
                    BorrowedFd channel, const SpawnOptions&) {
  auto fake = std::make_unique<FakeChild>();
  fake->role = arguments.front();
  fake->channel = duplicate(channel);
  fake->ended.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  check(fake->ended.is_open());
  Child child;
  child.pidfd = duplicate(fake->ended.borrow());
  fake->pidfd = child.pidfd.get();
  fake_children().push_back(std::move(fake));
  return child;
}

Result<void> spawn_apart(bool) { return {}; }

Result<void> become(uid_t, gid_t) { std::abort(); }

Result<int> reap(Child& child) {
  const auto found = find(child);
  check(found != fake_children().end() && !(*found)->channel.is_open());
  const int status = (*found)->status;
  fake_children().erase(found);
  child.pidfd.reset();
  return status;
}

bool has_ended(const Child& child, std::chrono::milliseconds) {
  const auto found = find(child);
  return found == fake_children().end() || !(*found)->channel.is_open();
}

void kill_child(const Child& child) { kill(child); }

void kill_group(const Child& child) { kill(child); }

}  // namespace backupkit
