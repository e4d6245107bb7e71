#include "native/extension/app_ready.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "native/extension/mapping.h"
#include "native/manifest/moved_scan.h"

namespace backupkit {
namespace {

// What the app has still under way comes to its end, as far as the client gives it time.
Result<void> let_rest(std::chrono::seconds delay, Link& link) {
  constexpr auto kSign = std::chrono::seconds(1);  // of life
  const auto end = link.now() + delay;
  for (auto now = link.now(); now < end; now = link.now()) {
    if (auto told = link.progress("delay", "", 0, 0); !told) return told;
    auto heard = link.await(BorrowedFd(), false, std::min(end, now + kSign));
    if (!heard) return failure(heard.error());
  }
  return {};
}

}  // namespace

Result<AppReady> make_app_ready(BorrowedFd sandbox, const Settings& settings, Hook& hook,
                                Link& link) {
  auto report = hook.on_backup(settings);
  if (!report) return failure(report.error());
  auto chosen = chosen_moves(*report, settings.mapping);
  if (!chosen) return failure(chosen.error());
  auto moves = effective_moves(sandbox, settings.rules, std::move(*chosen));
  if (!moves) return failure(moves.error());
  if (auto rested = let_rest(settings.delay, link); !rested) return failure(rested.error());
  if (settings.freezes) {
    if (auto frozen = link.freeze(); !frozen) return failure(frozen.error());
  }
  return AppReady{std::move(*report), std::move(*moves)};
}

}  // namespace backupkit
