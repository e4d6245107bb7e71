#include "native/manifest/manifest_writer.h"

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "native/io/write.h"
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
  if (auto begun = begin_row(row.path); !begun) return begun;
  if (auto appended = append_row(row, buffer_); !appended) return appended;
  return end_row(row.path);
}

Result<void> ManifestWriter::add(std::string_view path, const LineHalves& line) {
  if (auto begun = begin_row(path); !begun) return begun;
  buffer_.append(line.before).append(1, '0').append(line.after) += '\n';
  return end_row(path);
}

Result<void> ManifestWriter::begin_row(std::string_view path) const {
  if (finished_ || (rows_ > 0 && walk_order(last_path_, path) >= 0)) std::abort();
  return broken_ ? failure(*broken_) : Result<void>();
}

Result<void> ManifestWriter::end_row(std::string_view path) {
  last_path_ = path;
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
  const auto* begin = reinterpret_cast<const uint8_t*>(buffer_.data());
  const std::span<const uint8_t> filled(begin, buffer_.size());
  hasher_.update(filled);
  auto written = write_all(out_, filled, "writing a manifest");
  if (!written) broken_ = written.error();
  if (written) buffer_.clear();
  return written;
}

}  // namespace backupkit
