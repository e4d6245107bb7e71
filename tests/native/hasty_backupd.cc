// A backupd for the Java tests whose extensions do not wait long for what comes at a certain time
// or not at all: when nothing has come soon, they believe that it is that time.
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <span>
#include <string_view>

#include "native/base/syscall.h"
#include "native/extension/main.h"
#include "native/service/daemon.h"
#include "native/service/hook_program.h"
#include "native/service/survey.h"

namespace backupkit {
namespace {

using Clock = LinkTime::Clock;
using std::chrono::milliseconds;

// Long enough for a program that answers at once.
constexpr milliseconds kSoon{300};

LinkTime hasty_time() {
  const auto skipped = std::make_shared<Clock::duration>();
  const auto now = [skipped] { return Clock::now() + *skipped; };
  const auto poll = [skipped, now](std::span<pollfd> polled, Clock::time_point until) {
    const bool has_end = until != Clock::time_point::max();
    const auto left = std::chrono::ceil<milliseconds>(until - now());
    const auto wait = static_cast<int>(std::clamp(left, milliseconds(0), kSoon).count());
    const int ready =
        retry([&] { return ::poll(polled.data(), polled.size(), has_end ? wait : -1); });
    if (ready == 0) *skipped += std::max(until - now(), Clock::duration::zero());
    return ready;
  };
  return {.now = now, .poll = poll};
}

}  // namespace
}  // namespace backupkit

int main(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  if (role == "--extension") {
    return backupkit::extension_main(backupkit::hasty_time());
  }
  if (role == "--hook") return backupkit::hook_main(argc, argv);
  if (role == "--survey") return backupkit::survey_main();
  return backupkit::daemon_main(argc, argv);
}
