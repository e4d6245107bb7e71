// Directories of a sandbox that are stored under other paths than they have.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace backupkit {

struct Move {
  std::string from;  // its path in the sandbox
  std::string to;    // the path that it is stored under
};

inline constexpr size_t kMostMoves = 1000;

// The path of a move without slashes at its begin and end. Nothing: it cannot be one, as it leads
// out, is the top itself, or lies in the program's own directory.
[[nodiscard]] std::optional<std::string> move_path(std::string_view text);

// Some moves, no two of which come from one path or go to one. Whatever is below a directory goes
// with it, but for another one that is moved itself.
class Moves {
 public:
  Moves() = default;
  explicit Moves(std::vector<Move> moves);

  // In walk order of where they go.
  [[nodiscard]] const std::vector<Move>& all() const { return moves_; }

  [[nodiscard]] bool takes_away(std::string_view path) const { return sources_.contains(path); }

  // The path in the sandbox of what is stored under `path`.
  [[nodiscard]] std::string source_of(std::string_view path) const;

 private:
  std::vector<Move> moves_;
  std::set<std::string, std::less<>> sources_;
};

}  // namespace backupkit
