#include "native/archive/tar_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/base/syscall.h"
#include "native/io/write.h"

namespace backupkit {
namespace {

constexpr uint64_t kMostKept = TarInput::kWindow / 4;  // of one entry

std::string_view text_of(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool is_zero(std::span<const uint8_t> bytes) {
  return std::ranges::all_of(bytes, [](uint8_t byte) { return byte == 0; });
}

Result<void> seek(BorrowedFd out, uint64_t offset) {
  if (::lseek(out.get(), static_cast<off_t>(offset), SEEK_SET) >= 0) return {};
  return errno_failure("leaving a hole");
}

}  // namespace

TarReader::TarReader(BorrowedFd in, uint64_t size, Hashing hashing) : input_(in, size, hashing) {}

Result<std::optional<Entry>> TarReader::next() {
  if (broken_) return failure(*broken_);
  has_entry_ = false;
  if (is_finished_) return std::optional<Entry>();
  auto entry = step();
  if (!entry) broken_ = entry.error();
  return entry;
}

Result<void> TarReader::check_rest() {
  while (at_ < input_.size()) {
    const auto rest = input_.view_some(at_, std::min<uint64_t>(kTarBlock, input_.size() - at_));
    if (!rest) return failure(rest.error());
    if (!is_zero(*rest)) return refuse("something follows the end");
    at_ += rest->size();
  }
  return {};
}

Result<uint64_t> TarReader::content_offset() const {
  if (!has_entry_) return failure(Code::kNotPermitted, "the archive has no current entry");
  return content_at_;
}

Result<std::span<const uint8_t>> TarReader::peek(size_t most) {
  if (!has_entry_) return failure(Code::kNotPermitted, "the archive has no current entry");
  const uint64_t stored = data_.empty() ? 0 : std::min<uint64_t>(data_[0].length, most);
  if (stored == 0) return std::span<const uint8_t>();
  return input_.view_some(content_at_, stored);
}

Result<SharedBytes> TarReader::keep_content() {
  if (!has_entry_) return failure(Code::kNotPermitted, "the archive has no current entry");
  const bool is_whole = data_.size() == 1 && data_[0].length == size_;
  if (!is_whole || size_ > kMostKept) return SharedBytes();
  const auto content = input_.view(content_at_, static_cast<size_t>(size_));
  if (!content) return failure(content.error());
  return input_.keep(*content);
}

Result<void> TarReader::copy_content(BorrowedFd out) {
  if (!has_entry_) return failure(Code::kNotPermitted, "the archive has no current entry");
  const bool is_whole = size_ == 0 || (data_.size() == 1 && data_[0].length == size_);
  return is_whole ? copy_extent(content_at_, size_, out) : copy_sparse(out);
}

Result<void> TarReader::copy_sparse(BorrowedFd out) {
  const auto begin = ::lseek(out.get(), 0, SEEK_CUR);
  if (begin < 0) return errno_failure("leaving a hole");
  const auto base = static_cast<uint64_t>(begin);
  uint64_t from = content_at_;
  uint64_t end = 0;
  for (const Extent& extent : data_) {
    if (auto sought = seek(out, base + extent.offset); !sought) return sought;
    if (auto copied = copy_extent(from, extent.length, out); !copied) return copied;
    from += extent.length;
    end = extent.offset + extent.length;
  }
  if (end == size_) return {};
  const auto length = static_cast<off_t>(base + size_);
  if (retry([&] { return ::ftruncate(out.get(), length); }) != 0) {
    return errno_failure("leaving a hole at the end");
  }
  return seek(out, base + size_);
}

Result<void> TarReader::copy_extent(uint64_t offset, uint64_t length, BorrowedFd out) {
  for (uint64_t done = 0; done < length;) {
    const auto bytes = input_.view_some(offset + done, length - done);
    if (!bytes) return failure(bytes.error());
    if (auto written = write_all(out, *bytes, "writing the content of an entry"); !written) {
      return written;
    }
    done += bytes->size();
  }
  return {};
}

Result<std::optional<Entry>> TarReader::step() {
  Pending pending;
  for (;;) {
    if (at_ == input_.size() && is_begun_ && pending.is_empty) {
      is_finished_ = true;
      return std::optional<Entry>();
    }
    const auto raw = block(at_);
    if (!raw) return failure(raw.error());
    auto header = decode_header(*raw);
    if (!header) return refuse(header.error().context);
    if (header->kind == TarHeader::Kind::kEnd) {
      return pending.is_empty ? end() : refuse("something is said of an entry that is not there");
    }
    if (header->kind == TarHeader::Kind::kEntry) {
      auto entry = settle(std::move(*header), pending);
      if (!entry) return failure(entry.error());
      return std::optional<Entry>(std::move(*entry));
    }
    if (auto announced = announce(*header, pending); !announced) return failure(announced.error());
  }
}

Result<std::optional<Entry>> TarReader::end() {
  const uint64_t left = input_.size() - at_;
  if (left >= 2 * kTarBlock) {
    const auto second = block(at_ + kTarBlock);
    if (!second) return failure(second.error());
    has_end_ = is_zero(*second);
  }
  if (!has_end_ && !is_begun_) return refuse("a block of zeros before the first entry");
  is_finished_ = true;
  return std::optional<Entry>();
}

// Takes what is not an entry, and goes behind it.
Result<void> TarReader::announce(const TarHeader& header, Pending& pending) {
  using Kind = TarHeader::Kind;
  const bool is_long = header.kind == Kind::kLongPath || header.kind == Kind::kLongTarget;
  const size_t limit = is_long ? kMaxTarPath + 1 : kMaxPaxRecords;
  const auto text = read_text(header.entry.size, limit);
  if (!text) return failure(text.error());
  if (is_long) {
    (header.kind == Kind::kLongPath ? pending.path : pending.link_target) =
        text->substr(0, text->find('\0'));
    pending.is_empty = false;
  } else if (header.kind != Kind::kLabel) {
    auto taken = take_records(*text, header.kind == Kind::kGlobal, pending);
    if (!taken) return taken;
  }
  at_ += kTarBlock + text->size() + tar_padding(text->size());
  return {};
}

Result<void> TarReader::take_records(std::string_view text, bool is_global, Pending& pending) {
  uint64_t& said = is_global ? said_globally_ : pending.said;
  said += text.size();
  const size_t most = is_global ? kMaxGlobalRecords : kMaxPaxRecords;
  if (said > most) {
    return refuse("more than " + std::to_string(most) + " bytes are said of " +
                  (is_global ? "all entries" : "an entry"));
  }
  if (is_global) has_global_ = true;
  if (!is_global && !pending.has_records) pending.records = global_;
  if (auto decoded = decode_records(text, is_global ? global_ : pending.records); !decoded) {
    return refuse(decoded.error().context);
  }
  pending.has_records = pending.has_records || !is_global;
  pending.is_empty = pending.is_empty && is_global;
  return {};
}

// The content of the block at at_.
Result<std::string> TarReader::read_text(uint64_t length, size_t limit) {
  if (length > limit) {
    return refuse("more than " + std::to_string(limit) + " bytes are said of an entry");
  }
  const uint64_t begin = at_ + kTarBlock;
  if (length + tar_padding(length) > input_.size() - begin) {
    return refuse("the archive ends inside of what is said of an entry");
  }
  std::string text;
  text.reserve(static_cast<size_t>(length));  // at most `limit`
  while (text.size() < length) {
    const auto bytes = input_.view_some(begin + text.size(), length - text.size());
    if (!bytes) return failure(bytes.error());
    text += text_of(*bytes);
  }
  return text;
}

Result<Entry> TarReader::settle(TarHeader header, const Pending& pending) {
  Entry& entry = header.entry;
  if (!pending.path.empty()) entry.path = pending.path;
  if (!pending.link_target.empty()) entry.link_target = pending.link_target;
  const PaxRecords& records = pending.has_records ? pending.records : global_;
  if (auto applied = apply_records(records, entry); !applied) {
    return refuse(applied.error().context);
  }
  // Only pax lets a hard link bring the content along; elsewhere its size is that of the file.
  if (entry.type == EntryType::kHardLink && !pending.has_records && !has_global_) entry.size = 0;
  content_at_ = at_ + kTarBlock;
  const uint64_t archived = entry.size;
  if (header.is_listing) entry.size = 0;
  if (auto fits = check_content(entry, archived); !fits) return failure(fits.error());
  const uint64_t begin = content_at_;
  if (auto found = find_data(header, records); !found) return failure(found.error());
  if (auto settled = settle_entry(entry); !settled) return refuse(settled.error().context);
  size_ = entry.size;
  // The size counts a map in the content, but not an old one in blocks behind the header.
  at_ = (header.is_sparse ? content_at_ : begin) + archived + tar_padding(archived);
  has_entry_ = is_begun_ = true;
  return std::move(entry);
}

Result<void> TarReader::check_content(const Entry& entry, uint64_t stored) const {
  const uint64_t left = input_.size() - content_at_;
  if (stored <= left && tar_padding(stored) <= left - stored) return {};
  return refuse("the archive ends inside the content of \"" + entry.path.substr(0, 4096) + "\"");
}

// Says which parts of the entry are stored, from content_at_ on, and what its holes are.
Result<void> TarReader::find_data(TarHeader& header, const PaxRecords& records) {
  Entry& entry = header.entry;
  data_.clear();
  if (entry.size > 0) data_.push_back({0, entry.size});
  if (entry.type != EntryType::kFile) return {};
  uint64_t stored = entry.size;
  auto map = read_sparse(header, records, stored);
  if (!map) return failure(map.error());
  const auto& extents = *map;
  if (!extents) return {};
  auto checked = check_sparse(*extents, entry.size, stored);
  if (!checked) return refuse(checked.error().context);
  data_ = std::move(*checked);
  entry.holes = complement(data_, entry.size);
  return {};
}

// The map of a file with holes, whichever form it has, and nothing of another one. Puts the file's
// own size into the entry, and leaves in `stored` what is behind the map.
Result<std::optional<std::vector<Extent>>> TarReader::read_sparse(TarHeader& header,
                                                                  const PaxRecords& records,
                                                                  uint64_t& stored) {
  Entry& entry = header.entry;
  if (header.is_sparse) {
    if (auto read = read_old_map(header.sparse); !read) return failure(read.error());
    if (auto fits = check_content(entry, stored); !fits) return failure(fits.error());
    entry.size = header.sparse.real_size;
    return std::optional(std::move(header.sparse.data));
  }
  auto spoken = sparse_in(records);
  if (!spoken) return refuse(spoken.error().context);
  auto& sparse = *spoken;
  if (!sparse) return std::optional<std::vector<Extent>>();
  if (!sparse->path.empty()) entry.path = sparse->path;
  entry.size = sparse->size;
  if (!sparse->map_in_content) return std::optional(std::move(sparse->data));
  auto map = read_map(stored);
  if (!map) return failure(map.error());
  return std::optional(std::move(*map));
}

// Reads the map at content_at_, and leaves there and in `stored` what is behind it.
Result<std::vector<Extent>> TarReader::read_map(uint64_t& stored) {
  SparseMapReader map;
  for (bool is_complete = false; !is_complete;) {
    if (stored < kTarBlock) return refuse("a sparse map without an end");
    const auto bytes = block(content_at_);
    if (!bytes) return failure(bytes.error());
    const auto taken = map.take(text_of(*bytes));
    if (!taken) return refuse(taken.error().context);
    is_complete = *taken;
    content_at_ += kTarBlock;
    stored -= kTarBlock;
  }
  return map.release();
}

Result<void> TarReader::read_old_map(TarHeader::Sparse& sparse) {
  while (sparse.goes_on) {
    const auto bytes = block(content_at_);
    if (!bytes) return failure(bytes.error());
    if (auto decoded = decode_sparse_block(*bytes, sparse); !decoded) {
      return refuse(decoded.error().context);
    }
    content_at_ += kTarBlock;
  }
  return {};
}

Result<std::span<const uint8_t, kTarBlock>> TarReader::block(uint64_t offset) {
  if (input_.size() - offset < kTarBlock) {
    return refuse("the archive ends where a block is expected");
  }
  const auto bytes = input_.view(offset, kTarBlock);
  if (!bytes) return failure(bytes.error());
  return bytes->first<kTarBlock>();
}

std::unexpected<Error> TarReader::refuse(std::string_view why) const {
  return failure(Code::kUnpackFailed,
                 "byte " + std::to_string(at_) + " of the archive: " + std::string(why));
}

}  // namespace backupkit
