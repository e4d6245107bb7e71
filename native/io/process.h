// Child processes, held by pidfd.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

// A started process. `pidfd` becomes readable when it has ended; it stays a zombie until reap().
struct Child {
  pid_t pid = -1;
  UniqueFd pidfd;
};

// How a process is started beyond its arguments.
struct SpawnOptions {
  bool is_bare = false;  // it gets no environment, and its stdout is /dev/null
  // By the thread that calls, whose end it may be told of (PR_SET_PDEATHSIG): see spawn_apart().
  bool is_here = false;
};

// Starts `executable` (a path; PATH is not searched) with `arguments` after argv[0]. In the child
// `channel` is descriptor 3, stdin is /dev/null, stdout and stderr are ours, and nothing else is
// open as far as our descriptors are close-on-exec. It leads a session of its own, which has no
// terminal (so no Ctrl-C reaches it), with an empty signal mask and default signal actions. Never
// forks: safe and cheap in a large or threaded process.
[[nodiscard]] Result<Child> spawn(const std::string& executable,
                                  const std::vector<std::string>& arguments, BorrowedFd channel,
                                  const SpawnOptions& options = {});

// From now on spawn(), but for what is_here, has a thread of its own do it, or not: then nobody who
// is started has a copy of our descriptors until it runs its own program, and closes them, which
// may wait for a file system that does not answer. Error: there can be no such thread, and all
// stays as it is. While it is called nobody may be in spawn().
[[nodiscard]] Result<void> spawn_apart(bool apart);

// Becomes the user `uid` with the group `gid` and no other groups, for good.
[[nodiscard]] Result<void> become(uid_t uid, gid_t gid);

// Waits for the end of `child` and takes its status: the exit code, or 128 + the signal that ended
// it. The child holds no pidfd afterwards.
[[nodiscard]] Result<int> reap(Child& child);

// Whether it has ended after `patience` at most; true where it was reaped.
[[nodiscard]] bool has_ended(const Child& child, std::chrono::milliseconds patience);

// Sends SIGKILL, if it has not been reaped. Cannot hit another process that got the same pid.
void kill_child(const Child& child);

// The same to every process of its group: what it started goes with it, as far as it did not leave.
void kill_group(const Child& child);

}  // namespace backupkit
