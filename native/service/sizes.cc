#include "native/service/sizes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "native/base/syscall.h"
#include "native/io/path.h"
#include "native/io/sandbox.h"
#include "native/io/tmpfile.h"
#include "native/io/write.h"
#include "native/manifest/scan.h"
#include "native/service/aside.h"

namespace backupkit {
namespace {

constexpr const char* kKnown = "var/lib/backupkit/sizes";

Result<Sizes> count_below(BorrowedFd sandbox, const Bundle& bundle, int64_t since, Pulse& pulse) {
  const auto rules = Rules::configured(bundle.includes, bundle.excludes);
  Sizes sizes;
  std::set<std::pair<uint64_t, uint64_t>> linked;  // counted already, of those with several names
  ScanHandlers handlers;
  handlers.visit = [&](const ScanEntry& found) -> Result<void> {
    pulse.beat();
    if (!S_ISREG(found.mode)) return {};
    if (found.links > 1 && !linked.emplace(found.device, found.inode).second) return {};
    sizes.all += occupied(found);
    if (found.mtime.seconds >= since || found.ctime.seconds >= since)
      sizes.since += occupied(found);
    return {};
  };
  handlers.miss = [&](const Missed& missed) -> Result<void> {
    if (missed.fate == Fate::kUnreadable && sizes.problem.empty()) {
      sizes.problem = "not counted: " + Error::from_errno(missed.sys_errno, missed.path).message();
    }
    return {};
  };
  auto scanned = scan(sandbox, rules, handlers);
  if (!scanned) return failure(scanned.error());
  return sizes;
}

Result<void> remember(BorrowedFd root, const std::string& bundle, uint64_t size) {
  auto folder = make_directories(root, kKnown, 0700);
  if (!folder) return failure(folder.error());
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
  const UniqueFd file(
      retry([&] { return ::openat(folder->get(), bundle.c_str(), kFlags, mode_t{0600}); }));
  if (!file.is_open()) return errno_failure("the size of '" + bundle + "'");
  const auto text = std::to_string(size) + "\n";
  return write_all(file.borrow(),
                   std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()),
                   "the size of '" + bundle + "'");
}

// None where nothing was written, or not all of it.
std::optional<uint64_t> remembered(BorrowedFd root, const std::string& bundle) {
  constexpr size_t kMaxBytes = 32;
  const auto path = std::string(kKnown) + "/" + bundle;
  const auto file = open_beneath(root, path, O_RDONLY);
  if (!file) return std::nullopt;
  const auto bytes = read_file(file->borrow(), kMaxBytes);
  if (!bytes) return std::nullopt;
  const std::string text(bytes->begin(), bytes->end());
  uint64_t size = 0;
  const auto* begin = text.data();
  const auto [end, error] = std::from_chars(begin, begin + text.size(), size);
  if (error != std::errc{} || end == begin + text.size() || *end != '\n') return std::nullopt;
  return size;
}

Result<Sizes> upper_bound(BorrowedFd root, const Bundle& bundle) {
  auto sandbox = open_sandbox(root, bundle.sandbox.path);
  if (!sandbox) return failure(sandbox.error());
  struct statvfs file_system{};
  if (retry([&] { return ::fstatvfs(sandbox->get(), &file_system); }) != 0) {
    return errno_failure("sandbox '" + bundle.sandbox.path + "'");
  }
  const uint64_t blocks =
      file_system.f_blocks - std::min(file_system.f_blocks, file_system.f_bfree);
  return Sizes{.source = Source::kUpperBound, .all = blocks * file_system.f_frsize};
}

Result<Sizes> count(BorrowedFd root, const Bundle& bundle, int64_t since, Pulse& pulse) {
  auto sandbox = open_sandbox(root, bundle.sandbox.path);
  if (!sandbox) return failure(sandbox.error());
  auto sizes = count_below(sandbox->borrow(), bundle, since, pulse);
  // Without it the next estimate is a worse one.
  if (sizes && sizes->problem.empty()) (void)remember(root, bundle.name, sizes->all);
  return sizes;
}

}  // namespace

Result<Sizes> count_sizes(BorrowedFd root, const Bundle& bundle, int64_t since,
                          std::chrono::milliseconds patience) {
  return do_aside<Sizes>(
      patience, [root, bundle, since](Pulse& pulse) { return count(root, bundle, since, pulse); });
}

Result<Sizes> estimate_sizes(BorrowedFd root, const Bundle& bundle,
                             std::chrono::milliseconds patience) {
  if (const auto last = remembered(root, bundle.name)) {
    return Sizes{.source = Source::kLastKnown, .all = *last};
  }
  return do_aside<Sizes>(patience, [root, bundle](Pulse&) { return upper_bound(root, bundle); });
}

}  // namespace backupkit
