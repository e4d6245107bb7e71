// A filter of the calls that this process, and all that it starts, may make from now on:
// seccomp(2).
//
// It lists what is refused, not what is allowed: what a C library calls differs by its version and
// by the machine, and a list of that would be wrong with the next one. Files are Landlock's and
// their owners' business; this takes away what goes past them: the kernel itself (modules, BPF,
// performance events, keys, io_uring), mounts, namespaces and other processes' memory. All calls
// that are younger than the list fail with ENOSYS, as on a kernel before them. One of another
// architecture's table kills.
#pragma once

#include "backupkit/error.h"

namespace backupkit {

enum class Calls {
  kOfAProgram,    // of sockets those of IP alone
  kOfOneProcess,  // no socket, program, process, or signal, and nothing that reaches another
                  // process
};

// Whether the kernel has filters, and nobody forbids them.
[[nodiscard]] Result<bool> has_call_filters();

// What is refused fails with EPERM from now on, for the calling thread and what it starts. Needs
// no-new-privileges. Does nothing where there are no filters.
[[nodiscard]] Result<void> allow_only(Calls calls);

}  // namespace backupkit
