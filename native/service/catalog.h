// The installed bundles: etc/backupkit/bundles/<name>.json below the device root.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/service/access.h"

namespace backupkit {

// One bundle file. `sandbox` is the directory that the app sees as `/`: below the device root when
// it is relative.
struct Bundle {
  std::string name;
  int64_t version_code = 0;
  std::string version_name;
  std::string extension_name = "BackupExtensionAbility";
  bool need_to_install = false;
  std::string sandbox;
  std::optional<uid_t> uid;  // the sandbox's owner where it is not given
  std::optional<gid_t> gid;
  bool allowed = false;
  std::optional<std::vector<std::string>> includes;
  std::vector<std::string> excludes;
};

// True for what may name a bundle: [A-Za-z0-9._-]{1,127} without a leading dot, and an optional
// ":<digits>" for a clone.
[[nodiscard]] bool is_bundle_name(std::string_view name);

// The bundle of that name. Error kNotAdded: it is not installed, or its file is broken; the
// message says which and where.
[[nodiscard]] Result<Bundle> read_bundle(BorrowedFd root, const std::string& name);

// The capability file's text: every readable bundle, and under "problems" the files that are not.
[[nodiscard]] Result<std::string> capabilities(BorrowedFd root, const ServiceSettings& settings);

}  // namespace backupkit
