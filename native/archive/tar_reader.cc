#include "native/archive/tar_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "native/base/syscall.h"
#include "native/io/write.h"

namespace backupkit {
namespace {

constexpr size_t kBufferSize = size_t{256} << 10U;

}  // namespace

TarReader::TarReader(BorrowedFd in, uint64_t size) : in_(in), size_(size) {}

Result<std::optional<Entry>> TarReader::next() {
  if (broken_) return failure(*broken_);
  has_entry_ = false;
  if (finished_) return std::optional<Entry>();
  auto entry = step();
  if (!entry) broken_ = entry.error();
  return entry;
}

Result<uint64_t> TarReader::content_offset() const {
  if (!has_entry_) return failure(Code::kNotPermitted, "the archive has no current entry");
  return content_at_;
}

Result<void> TarReader::copy_content(BorrowedFd out) {
  if (!has_entry_) return failure(Code::kNotPermitted, "the archive has no current entry");
  uint64_t done = 0;
  while (done < content_size_) {
    const uint64_t offset = content_at_ + done;
    const bool buffered = offset >= buffer_at_ && offset - buffer_at_ < buffered_;
    const uint64_t most = buffered ? buffer_at_ + buffered_ - offset : kBufferSize;
    const auto bytes = view(offset, static_cast<size_t>(std::min(most, content_size_ - done)));
    if (!bytes) return failure(bytes.error());
    if (auto written = write_all(out, *bytes, "writing the content of an entry"); !written) {
      return written;
    }
    done += bytes->size();
  }
  return {};
}

Result<std::optional<Entry>> TarReader::step() {
  PaxRecords extended;
  bool announced = false;
  for (;;) {
    const auto raw = block();
    if (!raw) return failure(raw.error());
    auto header = decode_header(*raw);
    if (!header) return refuse(header.error().context);
    if (header->kind == TarHeader::Kind::kEnd) {
      return announced ? refuse("pax records without an entry behind them") : end();
    }
    if (header->kind == TarHeader::Kind::kEntry) {
      auto entry = settle(std::move(header->entry), announced ? extended : global_);
      if (!entry) return failure(entry.error());
      return std::optional<Entry>(std::move(*entry));
    }
    const bool global = header->kind == TarHeader::Kind::kGlobal;
    if (!global && !announced) extended = global_;
    announced = announced || !global;
    if (auto read = read_records(header->entry.size, global ? global_ : extended); !read) {
      return failure(read.error());
    }
  }
}

Result<std::optional<Entry>> TarReader::end() {
  at_ += kTarBlock;
  const auto second = block();
  if (!second) return failure(second.error());
  if (!std::ranges::all_of(*second, [](uint8_t byte) { return byte == 0; })) {
    return refuse("one block of zeros where the archive ends with two");
  }
  finished_ = true;
  return std::optional<Entry>();
}

Result<void> TarReader::read_records(uint64_t length, PaxRecords& records) {
  if (length > kMaxPaxRecords) return refuse("too many pax records");
  at_ += kTarBlock;
  const uint64_t padded = length + tar_padding(length);
  if (padded > size_ - at_) return refuse("the archive ends inside its pax records");
  std::string text;
  const auto count = static_cast<size_t>(length);  // at most kMaxPaxRecords
  text.reserve(count);
  while (text.size() < count) {
    const auto bytes = view(at_ + text.size(), std::min(kBufferSize, count - text.size()));
    if (!bytes) return failure(bytes.error());
    text.append(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  }
  if (auto decoded = decode_records(text, records); !decoded) {
    return refuse(decoded.error().context);
  }
  at_ += padded;
  return {};
}

Result<Entry> TarReader::settle(Entry entry, const PaxRecords& records) {
  if (auto applied = apply_records(records, entry); !applied) {
    return refuse(applied.error().context);
  }
  if (auto settled = settle_entry(entry); !settled) return refuse(settled.error().context);
  const uint64_t left = size_ - at_ - kTarBlock;
  if (entry.size > left || tar_padding(entry.size) > left - entry.size) {
    return refuse("the archive ends inside the content of \"" + entry.path.substr(0, 4096) + "\"");
  }
  content_at_ = at_ + kTarBlock;
  content_size_ = entry.size;
  has_entry_ = true;
  at_ = content_at_ + entry.size + tar_padding(entry.size);
  return entry;
}

Result<std::span<const uint8_t>> TarReader::view(uint64_t offset, size_t count) {
  const bool buffered = offset >= buffer_at_ && offset - buffer_at_ <= buffered_ &&
                        buffered_ - (offset - buffer_at_) >= count;
  if (!buffered) {
    if (auto filled = fill(offset, count); !filled) return failure(filled.error());
  }
  return std::span<const uint8_t>(buffer_).subspan(static_cast<size_t>(offset - buffer_at_), count);
}

Result<void> TarReader::fill(uint64_t offset, size_t count) {
  if (buffer_.empty()) buffer_.resize(kBufferSize);
  buffer_at_ = offset;
  buffered_ = 0;
  const auto most = static_cast<size_t>(std::min<uint64_t>(kBufferSize, size_ - offset));
  while (buffered_ < count) {
    const ssize_t got = retry([&] {
      return ::pread(in_.get(), buffer_.data() + buffered_, most - buffered_,
                     static_cast<off_t>(offset + buffered_));
    });
    if (got < 0) return errno_failure("reading an archive at byte " + std::to_string(offset));
    if (got == 0) return refuse("the archive is shorter than it was said to be");
    buffered_ += static_cast<size_t>(got);
  }
  return {};
}

Result<std::span<const uint8_t, kTarBlock>> TarReader::block() {
  if (size_ - at_ < kTarBlock) return refuse("the archive ends without its two blocks of zeros");
  const auto bytes = view(at_, kTarBlock);
  if (!bytes) return failure(bytes.error());
  return bytes->first<kTarBlock>();
}

std::unexpected<Error> TarReader::refuse(std::string_view why) const {
  return failure(Code::kUnpackFailed,
                 "byte " + std::to_string(at_) + " of the archive: " + std::string(why));
}

}  // namespace backupkit
