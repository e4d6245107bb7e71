// The installed bundles: etc/backupkit/bundles/<name>.json below the device root.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/io/sandbox.h"
#include "native/manifest/moves.h"

namespace backupkit {

// One bundle file:
//   { "name": text, "versionCode": n, "versionName": text, "extensionName": text,
//     "needToInstall": bool, "sandbox": path, "uid": n, "gid": n,
//     "backup": { "allowToBackupRestore": bool, "includes": [ *text ], "excludes": [ *text ],
//                 "labels": "keep" | "derive" | "none", "fullBackupOnly": bool, "restoreDeps":
//                 text, "requireCompatibility": bool, "supportScene": text, "extraInfo": object,
//                 "optionDir": [ *{ "sceneId": text, "includes": [ *text ],
//                                   "excludes": [ *text ] } ],
//                 "compatibleDirMapping": [ *{ "backupDir": path, "restoreDir": path } ] },
//     "extension": { "command": [ program, *argument ], "reads": [ *path ], "writes": [ *path ] },
//     "freeze": path, "freezeLimit": n }
// Needed are the name, which is the file's, and the sandbox. `sandbox` is the directory that the
// app sees as `/`: below the device root when it is relative. So are the program, `reads` and
// `writes`, and `freeze`, the app's cgroup (v2); freezeLimit is in milliseconds.
struct Bundle {
  // What a caller who names the scene has beside the includes and excludes.
  struct Scene {
    std::string id;
    std::vector<std::string> includes;
    std::vector<std::string> excludes;
  };

  std::string name;
  int64_t version_code = 0;
  std::string version_name;
  std::string extension_name = "BackupExtensionAbility";
  bool need_to_install = false;
  SandboxPlace sandbox;
  bool allowed = false;
  std::optional<std::vector<std::string>> includes;
  std::vector<std::string> excludes;
  std::vector<Scene> scenes;
  std::vector<Move> mapping;  // from a backupDir to its restoreDir
  std::string labels = "keep";
  std::string freeze;  // empty: its app is not frozen
  std::chrono::milliseconds freeze_limit{10'000};
  std::vector<std::string> hook;         // the app's hook program and its arguments; empty: none
  std::vector<std::string> hook_reads;   // what it may look at beside the system
  std::vector<std::string> hook_writes;  // what it may change beside the sandbox
  bool full_backup_only = false;
  std::vector<std::string> restore_deps;  // bundles that a restore of it waits for
  // Handed through to the capability file as they are: fullBackupOnly, restoreDeps,
  // requireCompatibility, supportScene and extraInfo.
  std::string published = "{}";
};

// True for what may name a bundle: [A-Za-z0-9._-]{1,127} without a leading dot, and an optional
// ":<digits>" for a clone.
[[nodiscard]] bool is_bundle_name(std::string_view name);

// The bundle of that name. Error kNotAdded: it is not installed, or its file is broken; the
// message says which and where.
[[nodiscard]] Result<Bundle> read_bundle(BorrowedFd root, const std::string& name);

// The names of the installed bundles, sorted; whether their files are good was not looked at.
[[nodiscard]] Result<std::vector<std::string>> installed_bundles(BorrowedFd root);

}  // namespace backupkit
