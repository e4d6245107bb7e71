// Runs a program and all that it starts under ptrace(2), and breaks a system call of one of them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace backupkit {

// Of the processes whose first argument is `role` it is for the one that is started as number
// `instance`, at its system call number `at`, counting from 1 at the start of its program.
struct Fault {
  std::string role;
  size_t instance = 1;
  size_t at = 0;
  int error = 0;  // what the call gives instead of being made; 0: the process is killed
};

struct Traced {
  int status = 0;         // of the program, as waitpid(2) gives it
  size_t calls = 0;       // of the process that the first fault is for
  bool fired = false;     // every fault has happened
  std::string last_call;  // the one that the last fault has broken, by number
};

// Returns when none of them is left. The calling thread must have no other child.
[[nodiscard]] Traced run_traced(const std::vector<std::string>& command,
                                const std::vector<Fault>& faults);

// Whether errors can be put in place of a call here; kills always can.
[[nodiscard]] bool can_inject_errors();

}  // namespace backupkit
