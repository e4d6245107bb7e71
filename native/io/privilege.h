// What a process gives up of its own.
#pragma once

#include <cstdint>

#include "backupkit/error.h"

namespace backupkit {

// Those that root's work on files needs, each with its number in capabilities(7).
namespace capability {
constexpr uint64_t kChown = 1ULL << 0U;
constexpr uint64_t kDacOverride = 1ULL << 1U;
constexpr uint64_t kDacReadSearch = 1ULL << 2U;
constexpr uint64_t kFowner = 1ULL << 3U;
constexpr uint64_t kFsetid = 1ULL << 4U;
constexpr uint64_t kSysAdmin = 1ULL << 21U;  // attributes "trusted.*", and "security.*"
constexpr uint64_t kMknod = 1ULL << 27U;
constexpr uint64_t kLease = 1ULL << 28U;
constexpr uint64_t kSetfcap = 1ULL << 31U;
constexpr uint64_t kMacAdmin = 1ULL << 33U;  // labels that the kernel does not know
}  // namespace capability

// Gives up all capabilities but those in `kept`, of which nobody gets one that it did not have.
[[nodiscard]] Result<void> keep_capabilities(uint64_t kept);

// From now on no program that is executed has more rights than its caller.
[[nodiscard]] Result<void> forbid_new_privileges();

// No core is dumped when it crashes, nor when what it starts does.
[[nodiscard]] Result<void> forbid_core_dumps();

}  // namespace backupkit
