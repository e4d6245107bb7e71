#include "native/extension/first_names.h"

#include <sys/stat.h>

#include <cstdint>

namespace backupkit {

bool may_have_names(const ScanEntry& found) { return found.links > 1 && !S_ISDIR(found.mode); }

void FirstNames::note(const ScanEntry& found, const FirstName& first) {
  if (may_have_names(found)) names_.try_emplace({found.device, found.inode}, first);
}

const FirstName* FirstNames::find(const ScanEntry& found) const {
  return may_have_names(found) ? find(found.device, found.inode) : nullptr;
}

const FirstName* FirstNames::find(uint64_t device, uint64_t inode) const {
  const auto found = names_.find({device, inode});
  return found == names_.end() ? nullptr : &found->second;
}

}  // namespace backupkit
