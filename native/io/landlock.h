// Landlock, landlock(7): what this process and all that it starts may reach from now on, whoever
// they are. By raw system calls, for libraries know it only of late.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

// What may be done with a file, or with all that is below a directory; to be added up.
using Access = uint32_t;
constexpr Access kRead = 1;   // read and list
constexpr Access kRun = 2;    // execute
constexpr Access kWrite = 4;  // write, make, rename and remove

// The version of the kernel's Landlock. 0: there is none that helps us. It is not built in, is
// turned off, is forbidden by a filter of system calls, or comes before version 2 (Linux 5.19),
// under which nothing could be renamed from one directory to another.
[[nodiscard]] Result<int> landlock_version();

// What a process keeps when it gives up all the rest. Does nothing where landlock_version() is 0.
class Landlock {
 public:
  enum class Network { kKept, kGivenUp };  // TCP; Landlock (version 4) knows nothing else of it

  [[nodiscard]] static Result<Landlock> make(Network network);

  // `place` may have been opened with O_PATH, and may be closed afterwards.
  [[nodiscard]] Result<void> keep(BorrowedFd place, Access access);
  // Nothing is kept where there is nothing, or nothing that this user can come to.
  [[nodiscard]] Result<void> keep(const std::string& path, Access access);

  // From now on, for the calling thread and what it starts. Files that are open stay so. Signals,
  // and connections to abstract sockets, reach nobody else any more (version 6), nor does
  // ptrace(2). Needs no-new-privileges. Of what a program that is executed later is denied the
  // kernel's audit tells (version 7).
  [[nodiscard]] Result<void> enforce();

 private:
  Landlock(int version, UniqueFd rules) : version_(version), rules_(std::move(rules)) {}

  int version_;
  UniqueFd rules_;  // not open: there is no Landlock
};

}  // namespace backupkit
