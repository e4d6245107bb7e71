// Files with holes in an archive, as GNU tar writes them.
//
//   Version 1.0, which is written: records GNU.sparse.major=1, .minor=0, .name=path,
//   .realsize=size; the header's own path is "GNUSparseFile.0/" and the name, for those who know
//   nothing of it. content = map data      map = count LF *( offset LF length LF ), zeros to a
//   multiple of 512
//                           data = the bytes of each pair, one behind the other
//   A pair of length 0 at the end says where a file ends that ends in a hole. The length of all
//   pairs but the last is a multiple of 512: readers do not agree on what else would mean, so it is
//   refused.
//
//   Read are also 0.1 (record GNU.sparse.map=offset,length,offset,..., no map in the content), 0.0
//   (a record GNU.sparse.offset and .numbytes for each pair) and the form of type 'S'.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backupkit/error.h"
#include "native/archive/pax.h"
#include "native/io/holes.h"

namespace backupkit {

// What is stored of a file with those holes: its data, widened to whole blocks of the archive.
[[nodiscard]] std::vector<Extent> stored_extents(std::span<const Extent> holes, uint64_t size);

// The map of version 1.0, padded.
[[nodiscard]] std::string encode_sparse_map(std::span<const Extent> stored, uint64_t size);

// Reads the map of version 1.0, as it comes.
class SparseMapReader {
 public:
  // Takes the next block of the content. True: the map ends in it. Error kUnpackFailed: it is none.
  [[nodiscard]] Result<bool> take(std::string_view block);

  [[nodiscard]] std::vector<Extent> release() { return std::move(data_); }

 private:
  [[nodiscard]] Result<void> take_number(uint64_t number);

  std::optional<uint64_t> count_;   // of pairs
  std::optional<uint64_t> offset_;  // of the pair that is being read
  uint64_t number_ = 0;
  unsigned digits_ = 0;
  std::vector<Extent> data_;
};

// What records say of a file with holes.
struct SparseRecords {
  bool map_in_content = false;
  std::string path;  // empty: as other records say
  uint64_t size = 0;
  std::vector<Extent> data;  // unless in the content
};

// Nothing where `records` do not speak of holes. Error kUnpackFailed: a version or number that is
// not understood.
[[nodiscard]] Result<std::optional<SparseRecords>> sparse_in(const PaxRecords& records);

// The extents to read for a file of `size` bytes of which `stored` are in the archive. Error
// kUnpackFailed: pairs that are not in order, or not of whole blocks, or not `stored` together.
[[nodiscard]] Result<std::vector<Extent>> check_sparse(std::span<const Extent> data, uint64_t size,
                                                       uint64_t stored);

}  // namespace backupkit
