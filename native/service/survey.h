// What can be backed up, with its size: the capability file.
//
//   file   = { "bundleInfos": [ *bundle ], "deviceType": text, "systemFullName": text,
//              "backupVersion": text, "problems"?: [ {"bundle": name, "error": text} ] }
//   bundle = { "name", "appIndex", "versionCode", "versionName", "extensionName", "allToBackup",
//              "needToInstall", "spaceOccupied"?: bytes, "increSpaceOccupied"?: bytes,
//              "fullBackupOnly", "restoreDeps", "requireCompatibility", "supportScene", "extraInfo"
//              }
//
// spaceOccupied is the content of the files that a backup takes, each inode once and without its
// holes; 0 for a bundle that must not be backed up. increSpaceOccupied, where times are asked for:
// of the files changed since then. Both are left out where sizes are not asked for.
//
//   report = { "scanned": [ ?size ], "scanning": name of the next bundle, "" after the last }
//   size   = { "bundleName", "dataSize": bytes or -1, "incDataSize": bytes or -1,
//              "estimate"?: "last known" | "upper bound", "problem"?: text }
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/protocol/wire.h"
#include "native/service/access.h"

namespace backupkit {

constexpr const char* kBackupVersion = "1.0";

// How a size is found.
enum class Sizing : uint8_t {
  kNone,
  kCount,
  kEstimate,
};

struct SurveyScope {
  std::optional<std::vector<BundleTime>> times{};  // of whom; none: of every installed bundle
  Sizing sizing = Sizing::kCount;
  bool reports = false;  // reports as above, and no file
  // With a file system that gives nothing, or the service's limit on time without progress.
  std::chrono::milliseconds patience = std::chrono::seconds(10);
};

// The file's text, of those in the scope that are installed. What cannot be read of a bundle is
// named under "problems". May block.
[[nodiscard]] Result<std::string> survey(BorrowedFd root, const ServiceSettings& settings,
                                         const SurveyScope& scope);

// The first frame for a `backupd --survey`.
[[nodiscard]] Result<Frame> survey_request(BorrowedFd root, const ServiceSettings& settings,
                                           const SurveyScope& scope);

// The main of `backupd --survey`, a process of its own since a file system may hang: descriptor 3
// is its channel to the service. Answers with one File, the sealed capability file, or with a
// Report for each bundle as soon as its size is known, and Done.
int survey_main();

}  // namespace backupkit
