#include "native/extension/account.h"

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "native/base/errno_name.h"
#include "native/protocol/wire.h"

namespace backupkit {
namespace {

using nlohmann::json;

constexpr size_t kMostDetails = 100;

bool is_loss(Fate fate) {
  return fate == Fate::kUnreadable || fate == Fate::kUnsupported || fate == Fate::kUnstable;
}

std::string reason_of(const Missed& missed) {
  if (missed.fate == Fate::kUnsupported) return "socket";
  if (missed.fate == Fate::kUnstable) return "changed whenever it was read";
  return errno_name(missed.sys_errno);
}

}  // namespace

void Account::miss(const Missed& missed) {
  if (missed.fate == Fate::kUnreadable && (*this)[Fate::kUnreadable] == 0) {
    code_ = Error::from_errno(missed.sys_errno, "").code;
  }
  ++at(missed.fate);
  if (missed.fate == Fate::kExcluded) ++excluded_[{missed.rule.verdict, missed.rule.rule}];
  if (is_loss(missed.fate) && details_.size() < kMostDetails) {
    details_.push_back(moves_.source_of(missed.path) + ": " + reason_of(missed));
  }
}

void Account::lose(const Missed& missed) {
  --at(Fate::kStored);
  miss(missed);
}

uint64_t Account::lost() const {
  return (*this)[Fate::kUnreadable] + (*this)[Fate::kUnsupported] + (*this)[Fate::kUnstable];
}

void Account::write(Tally& tally, json& totals) const {
  tally.stored = (*this)[Fate::kStored];
  tally.failed = lost();
  tally.details = details_;
  totals["excluded"] = (*this)[Fate::kExcluded];
  totals["unreadable"] = (*this)[Fate::kUnreadable];
  totals["unsupported"] = (*this)[Fate::kUnsupported];
  totals["vanished"] = (*this)[Fate::kVanished];
  totals["unstable"] = (*this)[Fate::kUnstable];
  json rules = json::array();
  size_t size = 0;
  for (const auto& [rule, count] : excluded_) {
    const auto name = rules_.name_of({rule.first, rule.second});
    size += name.size();
    if (size < kMaxText / 8) rules.push_back({{"rule", name}, {"count", count}});
  }
  totals["excludedBy"] = std::move(rules);
}

Result<void> Account::verdict(const std::string& bundle) const {
  if (lost() == 0) return {};
  std::string text = std::to_string(lost()) + " entries of '" + bundle + "' could not be stored: ";
  size_t named = 0;
  for (const auto& line : details_) {
    if (text.size() + line.size() > kMaxText / 2) break;
    text += (named++ == 0 ? "" : "; ") + line;
  }
  if (named < lost()) text += "; and " + std::to_string(lost() - named) + " more";
  return failure(code_, text);
}

}  // namespace backupkit
