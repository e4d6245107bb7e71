#include "native/archive/tar_writer.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "native/archive/sparse.h"
#include "native/archive/tar_encode.h"
#include "native/base/syscall.h"
#include "native/io/write.h"

namespace backupkit {
namespace {

// In larger pieces the kernel takes memory that costs two to three times as much to fill.
constexpr size_t kBufferSize = size_t{256} << 10U;

}  // namespace

TarWriter::TarWriter(UniqueFd out)
    : out_(std::move(out)), buffer_(std::make_unique_for_overwrite<uint8_t[]>(kBufferSize)) {}

Result<void> TarWriter::add(const Entry& entry) {
  if (entry.size != 0) {
    return failure(Code::kInvalidArgument, "\"" + entry.path + "\" is added without its content");
  }
  return start(entry);
}

Result<std::string> TarWriter::add_file(const Entry& entry, BorrowedFd content) {
  if (entry.type != EntryType::kFile) {
    return failure(Code::kInvalidArgument, "\"" + entry.path + "\" is no file");
  }
  if (auto started = start(entry); !started) return failure(started.error());
  Copied copied;
  const auto done = entry.holes.empty() ? copy_in(content, entry.size, copied)
                                        : copy_data(content, entry, copied);
  if (!done) return failure(done.error());
  std::string hash = content_hash_.finish();
  if (copied.missing == 0) return hash;
  const char* why =
      copied.read_errno != 0 ? "\" could not be read" : "\" became shorter while it was read";
  return failure(Error{Code::kPackFailed, copied.read_errno, "\"" + entry.path + why});
}

Result<void> TarWriter::add_encoded(SharedBytes entry) {
  if (auto open = check_open(); !open) return open;
  if (entry.bytes.empty() || tar_padding(entry.bytes.size()) != 0) {
    return failure(Code::kInvalidArgument, "an entry is whole blocks");
  }
  if (auto marked = mark(0, 0); !marked) return marked;
  ++entries_;
  add_piece(std::move(entry));
  return {};
}

// Either nothing of the entry will be written before it is whole, or nothing is waiting before it.
Result<void> TarWriter::mark(uint64_t header, uint64_t content) {
  const uint64_t left = kBufferSize - used_;
  const bool fits = header <= left && content <= left - header;
  if (!fits || waiting_ >= kBufferSize) {
    if (auto flushed = flush(); !flushed) return flushed;
    mark_.archive_hash.copy_from(archive_hash_);
  }
  mark_.used = used_;
  mark_.waiting = waiting_;
  mark_.size = size_;
  return {};
}

Result<void> TarWriter::take_back() {
  if (auto open = check_open(); !open) return open;
  const uint64_t written = size_ - waiting_;
  const uint64_t kept = mark_.size - mark_.waiting;
  if (written > kept) {  // nothing was waiting before the entry, and some of it was written
    const auto at = ::lseek(out_.get(), -static_cast<off_t>(written - kept), SEEK_CUR);
    if (at < 0 || ::ftruncate(out_.get(), at) != 0) {
      broken_ = Error::from_errno(errno, "taking an entry back out of an archive");
      return failure(*broken_);
    }
    archive_hash_.copy_from(mark_.archive_hash);
  }
  drop_pieces(waiting_ - mark_.waiting);
  used_ = mark_.used;
  size_ = mark_.size;
  --entries_;
  return {};
}

Result<void> TarWriter::finish() {
  if (auto open = check_open(); !open) return open;
  if (auto filled = append_zeros(2 * kTarBlock); !filled) return filled;
  if (auto flushed = flush(); !flushed) return flushed;
  finished_ = true;
  digest_ = archive_hash_.finish();
  return {};
}

Result<void> TarWriter::check_open() const {
  if (broken_) return failure(*broken_);
  if (finished_) return failure(Code::kNotPermitted, "the archive is finished");
  return {};
}

Result<void> TarWriter::start(const Entry& entry) {
  if (auto open = check_open(); !open) return open;
  std::string header;
  if (auto encoded = encode_header(entry, header); !encoded) return encoded;
  if (auto marked = mark(header.size(), entry.size + tar_padding(entry.size)); !marked)
    return marked;
  ++entries_;
  return append({reinterpret_cast<const uint8_t*>(header.data()), header.size()});
}

std::span<uint8_t> TarWriter::room() { return {buffer_.get() + used_, kBufferSize - used_}; }

// What is at the begin of the room is of the archive now.
void TarWriter::take_room(size_t count) {
  add_piece({.bytes = room().first(count)});
  used_ += count;
}

void TarWriter::add_piece(SharedBytes piece) {
  const size_t count = piece.bytes.size();
  const bool goes_on = !pieces_.empty() && keepers_.back() == piece.keeper &&
                       pieces_.back().data() + pieces_.back().size() == piece.bytes.data();
  if (goes_on) {
    pieces_.back() = {pieces_.back().data(), pieces_.back().size() + count};
  } else {
    pieces_.push_back(piece.bytes);
    keepers_.push_back(std::move(piece.keeper));
  }
  waiting_ += count;
  size_ += count;
}

void TarWriter::drop_pieces(uint64_t bytes) {
  waiting_ -= bytes;
  while (bytes > 0) {
    auto& last = pieces_.back();
    const auto count = static_cast<size_t>(std::min<uint64_t>(bytes, last.size()));
    bytes -= count;
    last = last.first(last.size() - count);
    if (!last.empty()) continue;
    pieces_.pop_back();
    keepers_.pop_back();
  }
}

Result<void> TarWriter::append(std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    if (used_ == kBufferSize) {
      if (auto flushed = flush(); !flushed) return flushed;
    }
    const size_t count = std::min(bytes.size(), room().size());
    std::memcpy(room().data(), bytes.data(), count);
    bytes = bytes.subspan(count);
    take_room(count);
  }
  return {};
}

Result<void> TarWriter::append_zeros(uint64_t count) {
  while (count > 0) {
    if (used_ == kBufferSize) {
      if (auto flushed = flush(); !flushed) return flushed;
    }
    const size_t some = static_cast<size_t>(std::min<uint64_t>(count, room().size()));
    std::memset(room().data(), 0, some);
    count -= some;
    take_room(some);
  }
  return {};
}

// Adds the `size` bytes from the position of `content` on, and what fills up their last block.
Result<void> TarWriter::copy_in(BorrowedFd content, uint64_t size, Copied& copied) {
  uint64_t left = size;
  while (left > 0) {
    if (used_ == kBufferSize) {
      if (auto flushed = flush(); !flushed) return flushed;
    }
    const auto most = static_cast<size_t>(std::min<uint64_t>(left, room().size()));
    const auto target = room().first(most);
    const ssize_t got = retry([&] { return ::read(content.get(), target.data(), target.size()); });
    if (got < 0) copied.read_errno = errno;
    if (got <= 0) break;
    const auto count = static_cast<size_t>(got);
    content_hash_.update(target.first(count));
    left -= count;
    take_room(count);
  }
  copied.missing += left;
  return append_zeros(left + tar_padding(size));
}

// Adds what lies between the holes.
Result<void> TarWriter::copy_data(BorrowedFd content, const Entry& entry, Copied& copied) {
  uint64_t at = 0;
  for (const Extent& extent : stored_extents(entry.holes, entry.size)) {
    content_hash_.update_zeros(extent.offset - at);
    if (::lseek(content.get(), static_cast<off_t>(extent.offset), SEEK_SET) < 0) {
      copied.read_errno = errno;
      copied.missing += extent.length;
      auto filled = append_zeros(extent.length + tar_padding(extent.length));
      if (!filled) return filled;
    } else if (auto done = copy_in(content, extent.length, copied); !done) {
      return done;
    }
    at = extent.offset + extent.length;
  }
  content_hash_.update_zeros(entry.size - at);
  return {};
}

Result<void> TarWriter::flush() {
  for (const auto piece : pieces_) archive_hash_.update(piece);
  auto written = write_all(out_.borrow(), pieces_, "writing an archive");
  if (!written) {
    broken_ = written.error();
    return written;
  }
  drop_pieces(waiting_);
  used_ = 0;
  return {};
}

}  // namespace backupkit
