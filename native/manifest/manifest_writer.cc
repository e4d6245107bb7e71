#include "native/manifest/manifest_writer.h"

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "native/base/syscall.h"
#include "native/manifest/walk_order.h"

namespace backupkit {
namespace {

constexpr size_t kBuffer = size_t{1} << 20U;

}  // namespace

ManifestWriter::ManifestWriter(BorrowedFd out) : out_(out) {
  buffer_.reserve(kBuffer + kMaxManifestLine);
  buffer_ = kManifestHead;
}

Result<void> ManifestWriter::add(const ManifestRow& row) {
  if (finished_ || (rows_ > 0 && walk_order(last_path_, row.path) >= 0)) std::abort();
  if (broken_) return failure(*broken_);
  if (auto appended = append_row(row, buffer_); !appended) return appended;
  last_path_ = row.path;
  ++rows_;
  return buffer_.size() < kBuffer ? Result<void>() : flush();
}

Result<void> ManifestWriter::finish() {
  if (finished_) std::abort();
  if (auto flushed = flush(); !flushed) return flushed;
  finished_ = true;
  // Only the digits: the line's place says which hash it is.
  buffer_ = "end;" + std::to_string(rows_) + ";" + hasher_.finish().substr(sizeof("xxh3:") - 1);
  buffer_ += '\n';
  return flush();
}

Result<void> ManifestWriter::flush() {
  if (broken_) return failure(*broken_);
  std::span<const uint8_t> left(reinterpret_cast<const uint8_t*>(buffer_.data()), buffer_.size());
  hasher_.update(left);
  while (!left.empty()) {
    const ssize_t put = retry([&] { return ::write(out_.get(), left.data(), left.size()); });
    if (put <= 0) {
      broken_ = Error::from_errno(put < 0 ? errno : EIO, "writing a manifest");
      return failure(*broken_);
    }
    left = left.subspan(static_cast<size_t>(put));
  }
  buffer_.clear();
  return {};
}

}  // namespace backupkit
