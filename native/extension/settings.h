// What the service tells an extension about its bundle: the sealed JSON that comes with Start.
//   { "name": text, "includes"?: [ *text ], "excludes": [ *text ], "packingLimit": n,
//     "appInfo": text, "appCall"?: n, "labels": "keep" | "derive" | "none",
//     "version": { "code": n, "name": text }, "fullBackupOnly": bool, "spaceNeeded": n,
//     "freezes": bool, "compatibleDirMapping"?: [ *{ "backupDir": path, "restoreDir": path } ],
//     "options": { "integrity"?: "none", "restoreMode"?: "mirror",
//                  "resume"?: true, "delayTime"?: seconds, "clearBackupData"?: false,
//                  "isSupportWithoutTar"?: true, ... } }
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/manifest/moves.h"
#include "native/manifest/rules.h"

namespace backupkit {

// What becomes of the labels by which a security module knows the entries.
enum class Labels {
  kKeep,    // stored, and put back by a restore
  kDerive,  // stored; a restore leaves those that the system gives
  kNone,    // not stored
};

struct Settings {
  std::string bundle;
  Rules rules;
  uint64_t packing_limit = 0;  // files larger than this are passed, not packed
  bool hashes_big_files = true;
  Labels labels = Labels::kKeep;
  bool is_incremental = false;  // said by Start's kind
  std::string app_info;         // for the app's own code
  uint8_t app_call = 0;         // of an app call
  // The app's on the device where the data comes from.
  int64_t version_code = 0;
  std::string version_name;

  bool full_backup_only = false;  // the app itself puts what is restored into its place
  bool is_mirror = false;         // what the backup does not have goes
  bool is_resumable = false;      // what is received outlasts an interrupted restore
  bool keeps_directory = false;   // what is in `.backup` for the app outlasts the session
  bool freezes = false;           // the app stands still while a backup looks at its data
  std::vector<Move> mapping;      // what a backup stores under another path, if the app says so
  std::chrono::seconds delay{};   // before a backup reads, for the app to come to rest
  uint64_t space_needed = 0;      // bytes of the backup that is restored
  std::string text;               // all of it, as it came

  // Error kInvalidArgument: not as above.
  [[nodiscard]] static Result<Settings> read(BorrowedFd sealed);
  [[nodiscard]] static Result<Settings> parse(std::string text);
};

}  // namespace backupkit
