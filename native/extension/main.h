#pragma once

#include "native/extension/link.h"

namespace backupkit {

// The main of `backupd --extension`: descriptor 3 is its channel to the service. Opens the sandbox
// and becomes the one who works in it before it looks at anything there. Gives the exit status.
int extension_main(LinkTime time = {});

}  // namespace backupkit
