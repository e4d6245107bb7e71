#include "native/extension/history.h"

#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <utility>

#include "native/io/tmpfile.h"

namespace backupkit {

Result<std::unique_ptr<History>> History::open(BorrowedFd sandbox, UniqueFd old) {
  auto file = unnamed_file(sandbox);
  if (!file) return failure(file.error().in("the manifest"));
  std::unique_ptr<History> history(new History(std::move(old), std::move(*file)));
  if (!history->old_.is_open()) {
    history->why_full_ = "no manifest of an earlier backup was given";
  } else if (auto opened = history->open_old(); !opened) {
    history->why_full_ = "the manifest given is not used: " + opened.error().message();
  }
  timespec now{};
  // The clock that file times come from. It cannot fail.
  (void)::clock_gettime(CLOCK_REALTIME, &now);
  history->scan_start_ = {now.tv_sec, static_cast<uint32_t>(now.tv_nsec)};
  return history;
}

Result<void> History::open_old() {
  // Once whole, since what is wrong at its end is known only there.
  if (auto checked = check_manifest(old_.borrow()); !checked) return failure(checked.error());
  auto rows = SortedRows::open(old_.borrow());
  if (!rows) return failure(rows.error());
  // What is gone is left out of the new manifest; nothing else is said of it.
  join_.emplace(std::move(*rows), [](const ManifestRow&) { return Result<void>{}; });
  return {};
}

Result<std::optional<ManifestRow>> History::match(const std::string& path) {
  if (!join_) return std::nullopt;
  return join_->match(path);
}

Result<UniqueFd> History::finish() {
  if (auto finished = writer_.finish(); !finished) return failure(finished.error());
  return reopen_readonly(file_.borrow());
}

}  // namespace backupkit
