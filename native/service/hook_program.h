// What becomes of `backupd --hook ...`: an app's hook program, which reaches its app's files, what
// its bundle names beside them, and of the system what programs need to run.
#pragma once

#include <string>
#include <vector>

#include "backupkit/error.h"
#include "native/io/sandbox.h"

namespace backupkit {

// What a hook program is, in absolute paths.
struct HookProgram {
  std::string bundle;
  SandboxPlace sandbox;
  std::vector<std::string> reads;    // beside the system's, with what is below them
  std::vector<std::string> writes;   // beside the sandbox
  std::vector<std::string> command;  // the program and its arguments
};

// The arguments that tell hook_main() of it.
[[nodiscard]] std::vector<std::string> arguments_of(const HookProgram& program);

// With the channel as descriptor 3: goes into the sandbox, becomes who works there, gives up all
// other rights, and becomes the program. Gives an exit status where it cannot.
int hook_main(int argc, char** argv);

}  // namespace backupkit
