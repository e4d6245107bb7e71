#include "native/service/sizes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <charconv>
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
#include "native/io/tmpfile.h"
#include "native/io/write.h"
#include "native/manifest/scan.h"

namespace backupkit {
namespace {

constexpr const char* kKnown = "var/lib/backupkit/sizes";

Result<UniqueFd> open_sandbox(BorrowedFd root, const Bundle& bundle) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  UniqueFd sandbox(retry([&] { return ::openat(root.get(), bundle.sandbox.c_str(), kFlags); }));
  if (!sandbox.is_open()) return errno_failure("sandbox '" + bundle.sandbox + "'");
  return sandbox;
}

Result<Sizes> count(BorrowedFd sandbox, const Bundle& bundle, int64_t since) {
  const auto rules = Rules::configured(bundle.includes, bundle.excludes);
  Sizes sizes;
  std::set<std::pair<uint64_t, uint64_t>> linked;  // counted already, of those with several names
  ScanHandlers handlers;
  handlers.visit = [&](const ScanEntry& found) -> Result<void> {
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

}  // namespace

Result<Sizes> count_sizes(BorrowedFd root, const Bundle& bundle, int64_t since) {
  auto sandbox = open_sandbox(root, bundle);
  if (!sandbox) return failure(sandbox.error());
  auto sizes = count(sandbox->borrow(), bundle, since);
  // Without it the next estimate is a worse one.
  if (sizes && sizes->problem.empty()) (void)remember(root, bundle.name, sizes->all);
  return sizes;
}

Result<Sizes> estimate_sizes(BorrowedFd root, const Bundle& bundle) {
  if (const auto last = remembered(root, bundle.name)) {
    return Sizes{.source = Source::kLastKnown, .all = *last};
  }
  auto sandbox = open_sandbox(root, bundle);
  if (!sandbox) return failure(sandbox.error());
  struct statvfs file_system{};
  if (retry([&] { return ::fstatvfs(sandbox->get(), &file_system); }) != 0) {
    return errno_failure("sandbox '" + bundle.sandbox + "'");
  }
  const uint64_t blocks =
      file_system.f_blocks - std::min(file_system.f_blocks, file_system.f_bfree);
  return Sizes{.source = Source::kUpperBound, .all = blocks * file_system.f_frsize};
}

}  // namespace backupkit
