#include "native/io/end_child.h"

#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace backupkit {
namespace {

constexpr auto kUsualEnd = std::chrono::milliseconds(100);

void take_away(Child& child, const std::function<void()>& gone) {
  (void)reap(child);
  if (gone) gone();
}

}  // namespace

void end_child(Loop& loop, Child child, std::function<void()> gone) {
  if (!child.pidfd.is_open()) return;
  kill_child(child);
  if (has_ended(child, kUsualEnd)) return take_away(child, gone);
  const auto kept = std::make_shared<Child>(std::move(child));
  // Without a place among the watched ones it stays a zombie, which the end of this process ends.
  const auto handler = [&loop, kept, gone = std::move(gone)](uint32_t) {
    loop.forget(kept->pidfd.borrow());
    take_away(*kept, gone);
  };
  (void)loop.watch(kept->pidfd.borrow(), EPOLLIN, handler);
}

}  // namespace backupkit
