// What a client appends to its session, as far as the frames of it have come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "native/protocol/wire.h"

namespace backupkit {

// The lists of one append.
class PendingAppend {
 public:
  struct Whole {
    std::vector<BundleRequest> list{};
    std::string capabilities{};  // of a restore
  };

  // Takes the list of one frame of the append `request`; another one's begins anew. Error: the
  // append is refused by it, and nothing that still comes of it counts, or fails again.
  [[nodiscard]] Result<void> take(uint32_t request, Frame& frame, bool is_restore);

  // After the last frame: all that came, or nothing of one that was refused. Leaves none pending.
  [[nodiscard]] std::optional<Whole> finish();

 private:
  [[nodiscard]] Result<void> add(Frame& frame, bool is_restore);

  uint32_t request_ = 0;
  bool is_refused_ = false;
  size_t bytes_ = 0;  // of the lists
  Whole whole_;
};

}  // namespace backupkit
