// The lists of bundles that a client sends, as bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backupkit/unique_fd.h"

namespace backupkit {

// One bundle as a client asks for it.
struct BundleRequest {
  std::string name;
  std::string source;    // its name in the capability file of a restore, where that is another
  std::string app_info;  // JSON for the app's own code, or empty
  std::string options;   // a JSON object of our own keys, or empty
  int32_t priority = 0;
  int64_t last_time = 0;      // seconds since the epoch; 0: never
  bool has_manifest = false;  // it is the next of the manifests that Client::append() is given
  UniqueFd manifest;          // where the service puts that one; a client leaves it empty
};

// When a bundle was last backed up incrementally.
struct BundleTime {
  std::string name;
  int64_t seconds = 0;  // since the epoch
};

// What Client::append() takes.
[[nodiscard]] std::vector<uint8_t> encode_list(std::span<const BundleRequest> list);

// What Client::capabilities() and Client::data_size() take.
[[nodiscard]] std::vector<uint8_t> encode_times(std::span<const BundleTime> times);

}  // namespace backupkit
