// The holes of a sparse file: ranges that read as zeros because nothing was written there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

// Bytes from `offset` on.
struct Extent {
  uint64_t offset = 0;
  uint64_t length = 0;
  friend bool operator==(const Extent&, const Extent&) = default;
};

inline constexpr size_t kMaxHoles = 1'000'000;  // of one file

// True for extents in order that neither are empty, nor touch one another, nor lead past `size`.
[[nodiscard]] bool are_extents(std::span<const Extent> extents, uint64_t size);

// What `extents`, which are_extents() of `size`, leave of a file: the data where they are its
// holes, and the other way round.
[[nodiscard]] std::vector<Extent> complement(std::span<const Extent> extents, uint64_t size);

// The holes in the first `size` bytes of `file`. Zeros that were written are data, and blocks that
// were only reserved are holes; a file system that cannot tell has no holes, and what is past
// kMaxHoles counts as data. The position of `file` stays.
[[nodiscard]] Result<std::vector<Extent>> holes_of(BorrowedFd file, uint64_t size);

// Whether there may be any: false proves that there are none, by one system call. Moves the
// position of `file`.
[[nodiscard]] Result<bool> may_have_holes(BorrowedFd file, uint64_t size);

// "" where there are none, else the XXH3-128 (native/base/hash.h) of, for each hole in order: its
// offset in decimal digits, NUL, its length, NUL.
[[nodiscard]] std::string digest_of(std::span<const Extent> holes);

// Gives back the blocks of those parts of `file`, open to write, that hold zeros; its size and
// position stay. A hole may come out smaller, as the blocks want it; that a file system has no
// holes is no error. Error kInvalidArgument: not are_extents() of the file's size.
[[nodiscard]] Result<void> make_holes(BorrowedFd file, std::span<const Extent> holes);

}  // namespace backupkit
