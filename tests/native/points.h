// Which of many points a test visits. Each takes a while: by default a part of them, another one
// each time; with BACKUPKIT_FAULTS=all in the environment all of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

#include "native/base/sanitized.h"

namespace backupkit {

inline bool visits_all() { return std::getenv("BACKUPKIT_FAULTS") != nullptr; }

// What `usual` costs otherwise: with a sanitizer a process takes many times as long to begin.
constexpr size_t affordable(size_t usual) { return kSanitized ? usual / 5 + 1 : usual; }

// Of the points 1 to `count` about `by_default` ones, evenly spread; else `at_most`.
inline std::vector<size_t> points(size_t count, size_t by_default, size_t at_most = SIZE_MAX) {
  const size_t chosen_ones = visits_all() ? at_most : affordable(by_default);
  const size_t step = std::max<size_t>(1, count / chosen_ones);
  std::vector<size_t> chosen;
  for (size_t at = 1 + std::random_device()() % step; at <= count; at += step) {
    chosen.push_back(at);
  }
  return chosen;
}

}  // namespace backupkit
