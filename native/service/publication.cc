#include "native/service/publication.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace backupkit {
namespace {

constexpr size_t kMaxHandles = 1'000'000;

}  // namespace

void Publication::begin(uint32_t window) {
  window_ = window;
  forward();
}

Result<void> Publication::file_handle(const std::string& uri) {
  if (handles_.size() >= kMaxHandles) {
    return failure(Code::kOutOfMemory, "at most " + std::to_string(kMaxHandles) +
                                           " files may be asked for beforehand for '" + bundle_ +
                                           "'");
  }
  handles_.push_back(uri);
  forward();
  return {};
}

Result<void> Publication::publish(uint32_t request, const std::string& uri, UniqueFd content) {
  if (uri.empty() && content.is_open()) {
    return failure(Code::kInvalidArgument, "a file that is given needs a uri");
  }
  publishing_.insert(request);
  if (uri.empty()) completing_.insert(request);
  FrameBuilder told(FrameType::kPublishFile);
  told.number(request).text(uri);
  if (content.is_open()) told.fd(std::move(content));
  (void)ends_.ask(told.build());  // without an extension the bundle's end is the answer
  return {};
}

void Publication::taken() {
  if (handles_out_ > 0) --handles_out_;
  forward();
}

void Publication::forward() {
  while (!handles_.empty() && handles_out_ < window_) {
    if (!ends_.ask(FrameBuilder(FrameType::kHandle).text(handles_.front()).build())) return;
    ++handles_out_;
    handles_.pop_front();
  }
}

bool Publication::take_published(ByteReader& reader) {
  const auto request = reader.get<uint32_t>();
  const auto error = read_error(reader);
  if (!reader.done() || publishing_.erase(request) == 0) return false;
  if (completing_.erase(request) != 0 && !error) is_published_ = true;
  ends_.tell(reply_frame(request, error));
  return true;
}

void Publication::end(const Error& reason) {
  for (const auto request : publishing_) ends_.tell(reply_frame(request, reason));
  publishing_.clear();
}

}  // namespace backupkit
