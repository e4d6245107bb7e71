// The row of an entry that is as it was, without taking it apart.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "native/manifest/scan.h"

namespace backupkit {

// A row's line on both sides of what its column `isIncremental` says, without the end.
struct LineHalves {
  std::string_view before;
  std::string_view after;
};

// Compares lines with what is written of an entry. Not thread-safe.
class SameRow {
 public:
  // The halves of `line`, if it is a row of 18 columns by which a file of the backup holds `found`
  // and change_of() says kUnchanged. Nothing where that is not so, or takes more to tell than a
  // look at the text. They are valid as long as the line.
  [[nodiscard]] std::optional<LineHalves> halves(std::string_view line, const ScanEntry& found);

 private:
  [[nodiscard]] bool is_place(std::string_view in);

  std::string text_;
  std::string last_in_;  // that was a file's name
};

}  // namespace backupkit
