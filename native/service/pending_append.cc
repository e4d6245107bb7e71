#include "native/service/pending_append.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "native/service/attachments.h"

namespace backupkit {

Result<void> PendingAppend::take(uint32_t request, Frame& frame, bool is_restore) {
  // A client whose next part failed on its side begins anew.
  if (request != request_) *this = PendingAppend();
  request_ = request;
  if (is_refused_) return {};
  auto added = add(frame, is_restore);
  if (!added) {
    whole_ = {};
    is_refused_ = true;
  }
  return added;
}

std::optional<PendingAppend::Whole> PendingAppend::finish() {
  PendingAppend finished = std::exchange(*this, PendingAppend());
  if (finished.is_refused_) return std::nullopt;
  return std::move(finished.whole_);
}

// The descriptors of a frame are its list, in a restore the capability file, and the manifests.
Result<void> PendingAppend::add(Frame& frame, bool is_restore) {
  auto bytes = sealed_in(frame, 0, "the list of bundles");
  if (!bytes) return failure(bytes.error());
  bytes_ += bytes->size();
  if (bytes_ > kMaxListBytes) {
    return failure(Code::kInvalidArgument, "the lists of one append have more than " +
                                               std::to_string(kMaxListBytes) + " bytes");
  }
  auto requests = decode_list(*bytes);
  if (!requests) return failure(requests.error());
  size_t next = 1;
  if (is_restore && next < frame.fds.size()) {
    auto file = sealed_in(frame, next++, "the capability file");
    if (!file) return failure(file.error());
    whole_.capabilities.assign(file->begin(), file->end());
  }
  if (whole_.list.size() + requests->size() > kMaxBundles) {
    return failure(Code::kInvalidArgument, "the lists of one append have more than " +
                                               std::to_string(kMaxBundles) + " bundles");
  }
  for (auto& request : *requests) {
    if (request.has_manifest) {
      if (next >= frame.fds.size()) return failure(Code::kIpc, "a manifest is missing");
      request.manifest = std::move(frame.fds[next++]);
    }
    whole_.list.push_back(std::move(request));
  }
  return {};
}

}  // namespace backupkit
