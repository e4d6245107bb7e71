// The report on a bundle that goes to onResultReport.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "backupkit/error.h"

namespace backupkit {

// What every report counts.
struct Tally {
  std::string_view kind;  // "full" or "incremental"
  uint64_t stored = 0;
  uint64_t unchanged = 0;  // of stored: in an earlier backup already
  uint64_t failed = 0;
  std::vector<std::string> details;  // of what failed
  uint64_t bytes_moved = 0;          // by us
  uint64_t bytes_shared = 0;         // by descriptor
  std::chrono::duration<double> spent{};
};

// The JSON of it, with `more` beside the totals; as many details as fit into a frame.
[[nodiscard]] std::string result_report(const Tally& tally, const nlohmann::json& more);

// The JSON of a failure of the app's own code.
[[nodiscard]] std::string failure_report(const Error& error);

}  // namespace backupkit
