// Where the entries of a backup ended, counted.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "backupkit/error.h"
#include "native/extension/report.h"
#include "native/manifest/moves.h"
#include "native/manifest/rules.h"
#include "native/manifest/scan.h"

namespace backupkit {

// Each entry that the walk spoke of is counted once, so the sums are all there is.
class Account {
 public:
  // What is lost is named by the path that it has. `rules` and `moves` outlive this.
  Account(const Rules& rules, const Moves& moves) : rules_(rules), moves_(moves) {}

  void store() { ++at(Fate::kStored); }
  void miss(const Missed& missed);
  // One that was counted as stored, and then could not be kept.
  void lose(const Missed& missed);

  [[nodiscard]] uint64_t operator[](Fate fate) const { return counts_[static_cast<size_t>(fate)]; }
  // Of what should be in the backup and is not.
  [[nodiscard]] uint64_t lost() const;

  // Puts into a report what is counted here: into `totals` each fate, and what each rule excluded.
  void write(Tally& tally, nlohmann::json& totals) const;

  // Partial is never success: the Error that a backup ends with where something is lost, with the
  // first 100 of them named, or as many as a message takes.
  [[nodiscard]] Result<void> verdict(const std::string& bundle) const;

 private:
  uint64_t& at(Fate fate) { return counts_[static_cast<size_t>(fate)]; }

  const Rules& rules_;
  const Moves& moves_;
  std::array<uint64_t, static_cast<size_t>(Fate::kUnstable) + 1> counts_{};
  std::map<std::pair<Rules::Verdict, size_t>, uint64_t> excluded_;  // by rule
  std::vector<std::string> details_;                                // of the first that are lost
  Code code_ = Code::kPackFailed;                                   // of the first unreadable one
};

}  // namespace backupkit
