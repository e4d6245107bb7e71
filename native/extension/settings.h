// What the service tells an extension about its bundle: the sealed JSON that comes with Start.
#pragma once

#include <cstdint>
#include <string>

#include "native/manifest/rules.h"

namespace backupkit {

struct Settings {
  std::string bundle;
  Rules rules;
  uint64_t packing_limit = 0;  // files larger than this are passed, not packed
  bool hashes_big_files = true;
};

}  // namespace backupkit
