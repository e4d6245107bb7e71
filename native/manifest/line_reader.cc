#include "native/manifest/line_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "native/base/syscall.h"

namespace backupkit {
namespace {

constexpr size_t kBuffer = size_t{256} << 10U;

}  // namespace

LineReader::LineReader(BorrowedFd in, size_t most, uint64_t offset)
    : in_(in), most_(most), offset_(offset), buffer_(std::max(kBuffer, 2 * most)) {}

Result<std::string_view> LineReader::next() {
  for (size_t searched = 0;;) {
    const std::string_view held(buffer_.data() + begin_, end_ - begin_);
    const size_t feed = held.find('\n', searched);
    size_t length = feed == std::string_view::npos ? held.size() : feed + 1;
    if (feed == std::string_view::npos && length <= most_) {
      searched = length;
      auto got = fill();
      if (!got) return failure(got.error());
      if (*got > 0) continue;
    }
    if (length > most_) {
      return failure(Code::kInvalidArgument,
                     "a line of more than " + std::to_string(most_) + " bytes");
    }
    const std::string_view line(buffer_.data() + begin_, length);
    begin_ += length;
    return line;
  }
}

Result<size_t> LineReader::fill() {
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  const ssize_t got = retry([&] {
    return ::pread(in_.get(), buffer_.data() + end_, buffer_.size() - end_,
                   static_cast<int64_t>(offset_));
  });
  if (got < 0) return errno_failure("reading lines");
  offset_ += static_cast<uint64_t>(got);
  end_ += static_cast<size_t>(got);
  return static_cast<size_t>(got);
}

}  // namespace backupkit
