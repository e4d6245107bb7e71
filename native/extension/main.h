#pragma once

#include "native/extension/link.h"

namespace backupkit {

// The main of `backupd --extension [UID GID]`: descriptor 3 is its channel to the service. Gives up
// to UID and GID before it looks at anything of the bundle. Gives the exit status.
int extension_main(int argc, char** argv, LinkTime time = {});

}  // namespace backupkit
