// Runs a program and all that it starts under ptrace(2), and breaks a system call of one of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace backupkit {

// What becomes of a system call.
struct Break {
  enum class Kind {
    kKill,          // its process is killed in place of it
    kKillAtChange,  // likewise, where it may change what others see: before a call that only looks
                    // everything is as it is before the next one
    kError,         // it gives `error` and is not made
    kCutToOne,      // it is asked for one byte, or for the least that its kind can give
    kCutToHalf,     // it is asked for half of the bytes
  };
  Kind kind = Kind::kKill;
  int error = 0;
};

constexpr Break failing(int error) { return {Break::Kind::kError, error}; }

constexpr size_t kEveryCall = 0;
constexpr size_t kNoCall = SIZE_MAX;

// Of the processes whose first argument is `role` it is for the one that is started as number
// `instance`, at its system call number `at`: only those that it can happen to are counted, from 1
// at the start of its program.
struct Fault {
  std::string role;
  size_t instance = 1;
  size_t at = kNoCall;
  Break what = {};
};

struct Traced {
  int status = 0;      // of the program, as waitpid(2) gives it
  size_t calls = 0;    // that the first fault could have happened to, as far as it came
  size_t changes = 0;  // calls of it that may have changed something
  std::vector<uint64_t> order = {};  // the numbers of these
  bool fired = false;                // every fault has happened
  bool hung = false;                 // they had not ended after a minute, and were killed
  bool crashed = false;              // one of them was ended by another signal than SIGKILL
  std::string last_call;             // the one that the last fault has broken, by number
};

// Returns when none of them is left. The calling thread must have no other child.
[[nodiscard]] Traced run_traced(const std::vector<std::string>& command,
                                const std::vector<Fault>& faults);

// The same of a function, which gives the exit status of a child process that it runs in. It ends
// without destructors of what the caller has.
[[nodiscard]] Traced run_traced(const std::function<int()>& work, size_t at, Break what);

// Whether calls can be changed here; kills at any call always work.
[[nodiscard]] bool can_change_calls();

}  // namespace backupkit
