// The order in which a tree is walked and a manifest is sorted.
#pragma once

#include <compare>
#include <string_view>

namespace backupkit {

// Names in byte order within each directory, a directory before what is in it and that before the
// directory's next sibling: "a", "a/b", "a.c". The top "." comes before everything. Both are inner
// paths (index.h) or ".".
[[nodiscard]] std::strong_ordering walk_order(std::string_view a, std::string_view b);

// True when `path` is inside `directory`, at any depth. Both are inner paths.
[[nodiscard]] bool is_below(std::string_view path, std::string_view directory);

}  // namespace backupkit
