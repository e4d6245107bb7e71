// A JSON text, and on which lines its parts are: for files that people write.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "backupkit/error.h"

namespace backupkit {

class JsonLines {
 public:
  // The keys and indexes that lead to a value.
  using Path = std::vector<std::string>;

  // Comments are allowed. Error kInvalidArgument: it is no JSON; the message has the line.
  [[nodiscard]] static Result<JsonLines> parse(std::string_view text);

  [[nodiscard]] const nlohmann::json& root() const { return root_; }

  // Where the key is, or in a list the value itself; of the last that is meant where a key is
  // repeated, as the parser takes it. 1 for what is not there.
  [[nodiscard]] size_t line_of(const Path& path) const;

 private:
  nlohmann::json root_;
  std::map<Path, size_t> lines_;
};

}  // namespace backupkit
