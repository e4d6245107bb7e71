// The end of a child that is killed, however long that takes.
#pragma once

#include <functional>

#include "native/io/loop.h"
#include "native/io/process.h"

namespace backupkit {

// Kills `child`, if it still runs, and reaps it: here where it ends at once, else when it has
// ended. One that waits in the kernel, as for a file system that does not answer, ends when that
// does. `gone` is called when it was reaped; it must not depend on who called this.
void end_child(Loop& loop, Child child, std::function<void()> gone = {});

}  // namespace backupkit
