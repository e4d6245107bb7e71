#include "native/manifest/moved_scan.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "native/io/path.h"
#include "native/manifest/walk_order.h"

namespace backupkit {
namespace {

class MovedScan {
 public:
  MovedScan(BorrowedFd root, const Rules& rules, const Moves& moves, const ScanHandlers& handlers,
            size_t helpers)
      : root_(root), rules_(rules), moves_(moves), handlers_(handlers), helpers_(helpers) {}

  Result<void> run() {
    if (auto scanned = scan_part(nullptr); !scanned) return scanned;
    return scan_moves_before(nullptr);
  }

 private:
  Result<void> scan_part(const Move* move);
  Result<void> scan_moves_before(const std::string* path);
  Result<void> come_to(const std::string& path, bool is_directory, const Move* move);

  BorrowedFd root_;
  const Rules& rules_;
  const Moves& moves_;
  const ScanHandlers& handlers_;
  size_t helpers_;
  size_t next_ = 0;  // of the moves, the first that was not come to
};

Result<void> MovedScan::scan_part(const Move* move) {
  const ScanHandlers handlers{
      .visit = [this, move](const ScanEntry& found) -> Result<void> {
        if (auto come = come_to(found.path, S_ISDIR(found.mode), move); !come) return come;
        return handlers_.visit(found);
      },
      .miss = [this, move](const Missed& missed) -> Result<void> {
        if (missed.fate == Fate::kUnreadable) {  // the others are in no order
          if (auto come = come_to(missed.path, false, move); !come) return come;
        }
        return handlers_.miss(missed);
      }};
  return scan_apart(root_, rules_, moves_, move, handlers, helpers_);
}

// What goes before `path` comes before it; all that is left, where null.
Result<void> MovedScan::scan_moves_before(const std::string* path) {
  while (next_ < moves_.all().size()) {
    const Move& move = moves_.all()[next_];
    if (path != nullptr && walk_order(move.to, *path) >= 0) break;
    ++next_;
    if (auto scanned = scan_part(&move); !scanned) return scanned;
  }
  return {};
}

// The walk of `move`, or of what stays, is at `path`.
Result<void> MovedScan::come_to(const std::string& path, bool is_directory, const Move* move) {
  if (auto scanned = scan_moves_before(&path); !scanned) return scanned;
  if (next_ == moves_.all().size()) return {};
  const auto& [from, to] = moves_.all()[next_];
  if (to != path && (is_directory || !is_below(to, path))) return {};
  const auto other = move == nullptr ? path : move->from + path.substr(move->to.size());
  return failure(Code::kInvalidArgument, "'" + from + "' cannot be stored as '" + to + "': '" +
                                             other + "' is stored as '" + path +
                                             "' as well; exclude one of them");
}

}  // namespace

Result<Moves> effective_moves(BorrowedFd root, const Rules& rules, std::vector<Move> moves) {
  std::vector<Move> found;
  for (auto& move : moves) {
    const auto verdict = rules.explain(move.from, true).judgement.verdict;
    if (verdict != Rules::Verdict::kTake && verdict != Rules::Verdict::kDescend) continue;
    const auto there = open_beneath(root, move.from, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    const int error = there ? 0 : there.error().sys_errno;
    if (error == ENOENT) continue;
    if (error == ENOTDIR || error == ELOOP) {
      return failure(there.error().in("'" + move.from + "', to be stored as '" + move.to + "'"));
    }
    found.push_back(std::move(move));  // what else is wrong with it the walk says
  }
  return Moves(std::move(found));
}

Result<void> scan_moved(BorrowedFd root, const Rules& rules, const Moves& moves,
                        const ScanHandlers& handlers, size_t helpers) {
  if (moves.all().empty()) return scan(root, rules, handlers, helpers);
  return MovedScan(root, rules, moves, handlers, helpers).run();
}

}  // namespace backupkit
