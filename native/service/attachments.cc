#include "native/service/attachments.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "native/io/tmpfile.h"
#include "native/service/catalog.h"

namespace backupkit {

bool has_descriptors(const Frame& frame) { return frame.lost_fds || !frame.fds.empty(); }

Result<UniqueFd> content_in(Frame& frame) {
  if (frame.lost_fds) return failure(Code::kOutOfMemory, "no descriptor is free for it");
  if (frame.fds.empty()) return UniqueFd();
  const int flags = ::fcntl(frame.fds[0].get(), F_GETFL);
  struct statx found{};
  // Its type is known without asking the file system, which may not answer.
  constexpr int kHow = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
  if (flags < 0 || ::statx(frame.fds[0].get(), "", kHow, STATX_TYPE, &found) != 0) {
    return errno_failure("look at it");
  }
  const bool is_readable = (flags & O_ACCMODE) == O_RDONLY && (flags & O_PATH) == 0;
  if (!S_ISREG(found.stx_mode) || !is_readable) {
    return failure(Code::kInvalidArgument, "not a regular file that is open to be read only");
  }
  return std::move(frame.fds[0]);
}

Result<Bytes> sealed_in(const Frame& frame, size_t index, const std::string& what) {
  if (frame.lost_fds) return failure(Code::kOutOfMemory, "no descriptor is free for " + what);
  if (index >= frame.fds.size()) return failure(Code::kIpc, what + " is missing");
  auto bytes = read_sealed(frame.fds[index].borrow(), kMaxListBytes);
  if (!bytes) return failure(bytes.error().in(what));
  return bytes;
}

Result<std::optional<std::vector<BundleTime>>> times_in(const Frame& frame) {
  if (!has_descriptors(frame)) return std::nullopt;
  auto bytes = sealed_in(frame, 0, "the list of times");
  if (!bytes) return failure(bytes.error());
  auto times = decode_times(*bytes);
  if (!times) return failure(times.error());
  for (const auto& time : *times) {
    if (!is_bundle_name(time.name)) {
      return failure(Code::kParameter, "'" + time.name + "' is not a bundle name");
    }
  }
  return std::move(*times);
}

}  // namespace backupkit
