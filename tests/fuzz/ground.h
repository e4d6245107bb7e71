// What an extension works on: an app's sandbox, and beside it what it must not touch.
#pragma once

#include <string>
#include <string_view>

#include "native/base/bytes.h"
#include "tests/native/scratch_directory.h"

namespace backupkit {

class Ground {
 public:
  Ground();

  // Makes the sandbox anew; what is left there of earlier work is taken off `choices`.
  void prepare(ByteReader& choices) const;

  [[nodiscard]] UniqueFd open_sandbox() const;

  // The app changes something meanwhile.
  void meddle(ByteReader& choices) const;

  // Whether nothing beside the sandbox was changed.
  [[nodiscard]] bool is_as_before() const { return describe() == before_; }

  // What no backup has.
  static constexpr std::string_view kSecret = "what is beside the sandbox";

 private:
  void leave_transaction(ByteReader& choices) const;
  [[nodiscard]] std::string describe() const;

  ScratchDirectory scratch_{memory_directory()};
  std::string sandbox_ = scratch_ / "sandbox";
  std::string before_;
};

}  // namespace backupkit
