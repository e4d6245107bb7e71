#include "native/archive/sparse.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "native/archive/tar_header.h"

namespace backupkit {
namespace {

constexpr uint64_t kMostSize = std::numeric_limits<int64_t>::max();
constexpr unsigned kMostDigits = 19;  // of kMostSize
constexpr size_t kMostPairs = kMaxHoles + 1;

std::unexpected<Error> broken(std::string_view why) { return failure(Code::kUnpackFailed, why); }

void append_line(std::string& map, uint64_t number) {
  map += std::to_string(number);
  map += '\n';
}

Result<uint64_t> number_of(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > kMostSize) {
    return broken("a sparse map with a bad number");
  }
  return value;
}

Result<uint64_t> number_in(const PaxRecords& records, std::string_view key) {
  const auto record = records.find(key);
  if (record == records.end())
    return broken("a sparse file without its record " + std::string(key));
  return number_of(record->second);
}

// offset,length,offset,length...
Result<std::vector<Extent>> pairs_in(std::string_view map) {
  std::vector<Extent> data;
  while (!map.empty()) {
    Extent extent;
    for (uint64_t* number : {&extent.offset, &extent.length}) {
      const auto word = map.substr(0, map.find(','));
      const auto value = number_of(word);
      if (!value) return failure(value.error());
      *number = *value;
      map.remove_prefix(std::min(map.size(), word.size() + 1));
    }
    if (data.size() == kMostPairs) return broken("a file with too many holes");
    data.push_back(extent);
  }
  return data;
}

}  // namespace

std::vector<Extent> stored_extents(std::span<const Extent> holes, uint64_t size) {
  std::vector<Extent> stored;
  for (const Extent& data : complement(holes, size)) {
    const uint64_t begin = data.offset - data.offset % kTarBlock;
    const uint64_t end = data.offset + data.length;
    const uint64_t padded = end + std::min(tar_padding(end), size - end);
    const bool touches = !stored.empty() && stored.back().offset + stored.back().length >= begin;
    if (touches) stored.back().length = padded - stored.back().offset;
    if (!touches) stored.push_back({begin, padded - begin});
  }
  return stored;
}

std::string encode_sparse_map(std::span<const Extent> stored, uint64_t size) {
  const bool ends_in_hole = stored.empty() || stored.back().offset + stored.back().length < size;
  std::string map;
  append_line(map, stored.size() + (ends_in_hole ? 1 : 0));
  for (const Extent& extent : stored) {
    append_line(map, extent.offset);
    append_line(map, extent.length);
  }
  if (ends_in_hole) {
    append_line(map, size);
    append_line(map, 0);
  }
  map.append(static_cast<size_t>(tar_padding(map.size())), '\0');
  return map;
}

Result<bool> SparseMapReader::take(std::string_view block) {
  for (const char c : block) {
    if (c >= '0' && c <= '9' && digits_ < kMostDigits) {
      number_ = number_ * 10 + static_cast<uint64_t>(c - '0');
      ++digits_;
      continue;
    }
    if (c != '\n' || digits_ == 0) return broken("a sparse map with a bad number");
    if (auto taken = take_number(number_); !taken) return failure(taken.error());
    number_ = digits_ = 0;
    if (count_ && data_.size() == *count_) return true;
  }
  return false;
}

Result<void> SparseMapReader::take_number(uint64_t number) {
  if (!count_) {
    if (number > kMostPairs) return broken("a file with too many holes");
    count_ = number;
  } else if (!offset_) {
    offset_ = number;
  } else {
    data_.push_back({*offset_, number});
    offset_.reset();
  }
  return {};
}

Result<std::optional<SparseRecords>> sparse_in(const PaxRecords& records) {
  SparseRecords sparse;
  if (const auto name = records.find("GNU.sparse.name"); name != records.end()) {
    if (name->second.find('\0') != std::string::npos) return broken("a NUL in a path");
    sparse.path = name->second;
  }
  if (const auto major = records.find("GNU.sparse.major"); major != records.end()) {
    const auto minor = records.find("GNU.sparse.minor");
    if (major->second != "1" || minor == records.end() || minor->second != "0") {
      return broken("a sparse file of an unknown version");
    }
    sparse.map_in_content = true;
    const auto size = number_in(records, "GNU.sparse.realsize");
    if (!size) return failure(size.error());
    sparse.size = *size;
    return std::optional(std::move(sparse));
  }
  const auto map = records.find("GNU.sparse.map");
  if (map == records.end() && !records.contains("GNU.sparse.size")) {
    return std::optional<SparseRecords>();
  }
  const auto size = number_in(records, "GNU.sparse.size");
  if (!size) return failure(size.error());
  sparse.size = *size;
  auto data = pairs_in(map == records.end() ? std::string_view() : map->second);
  if (!data) return failure(data.error());
  sparse.data = std::move(*data);
  return std::optional(std::move(sparse));
}

Result<std::vector<Extent>> check_sparse(std::span<const Extent> data, uint64_t size,
                                         uint64_t stored) {
  std::vector<Extent> checked;
  uint64_t end = 0;
  uint64_t sum = 0;
  bool is_whole = true;
  for (const Extent& extent : data) {
    if (extent.offset < end || extent.offset > size || extent.length > size - extent.offset) {
      return broken("a sparse map that leads out of its file");
    }
    end = extent.offset + extent.length;
    if (extent.length == 0) continue;
    if (!is_whole) return broken("a sparse map that is not made of blocks");
    is_whole = extent.length % kTarBlock == 0;
    sum += extent.length;  // at most `size`, as they do not overlap
    const bool touches =
        !checked.empty() && checked.back().offset + checked.back().length == extent.offset;
    if (touches) checked.back().length += extent.length;
    if (!touches) checked.push_back(extent);
  }
  if (sum != stored) return broken("a sparse map that does not fit its content");
  return checked;
}

}  // namespace backupkit
