// Which of many points a test visits. Each takes a while: by default a part of them, another one
// each time; with BACKUPKIT_FAULTS=all in the environment all of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

namespace backupkit {

inline bool visits_all() { return std::getenv("BACKUPKIT_FAULTS") != nullptr; }

// Of the points 1 to `count` about `by_default` ones, evenly spread; else `at_most`.
inline std::vector<size_t> points(size_t count, size_t by_default, size_t at_most = SIZE_MAX) {
  const size_t step = std::max<size_t>(1, count / (visits_all() ? at_most : by_default));
  std::vector<size_t> chosen;
  for (size_t at = 1 + std::random_device()() % step; at <= count; at += step) {
    chosen.push_back(at);
  }
  return chosen;
}

}  // namespace backupkit
