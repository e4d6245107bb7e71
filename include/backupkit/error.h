// What can go wrong, as a value: a code of the interface, the errno behind it and where it
// happened.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace backupkit {

// The codes of `@ohos.file.backup`; the first group never leaves the process.
enum class Code : int32_t {
  kUnsupported = 1,  // this way does not exist for these operands; try another
  kClosed = 2,       // the peer is gone

  kPermissionDenied = 201,
  kNotSystemApp = 202,
  kParameter = 401,
  kNotAdded = 13500001,
  kExtensionStartFailed = 13500002,
  kTimedOut = 13500003,
  kExtensionDied = 13500004,
  kPackFailed = 13500006,
  kExtensionThrew = 13500007,
  kUnpackFailed = 13500008,
  kCancelled = 13500010,
  kCancelNotBegun = 13500011,
  kCancelNotFound = 13500012,
  kSessionConflict = 13500013,
  kIpc = 13600001,
  kNotPermitted = 13900001,
  kIo = 13900005,
  kOutOfMemory = 13900011,
  kInvalidArgument = 13900020,
  kNoSpace = 13900025,
  kUnknown = 13900042,
};

// A failure. `context` is a sentence without a full stop that names the path, bundle or peer.
struct Error {
  Code code = Code::kUnknown;
  int sys_errno = 0;  // 0 where no system call failed
  std::string context;

  // The failure of a system call, its code chosen by the errno (EPERM, ENOSPC, ... as the interface
  // maps them).
  [[nodiscard]] static Error from_errno(int number, std::string_view context);

  // The same failure seen from one level up: `what` is put before the context.
  [[nodiscard]] Error in(std::string_view what) const;

  // The context with the errno's name, for a person.
  [[nodiscard]] std::string message() const;
};

template <typename T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> failure(Error error) {
  return std::unexpected(std::move(error));
}

// A failure without a system call behind it.
[[nodiscard]] inline std::unexpected<Error> failure(Code code, std::string_view context) {
  return std::unexpected(Error{code, 0, std::string(context)});
}

// The failure of the system call that has just returned: reads errno.
[[nodiscard]] std::unexpected<Error> errno_failure(std::string_view context);

// The interface's own sentence for a code ("IPC error"), or one of ours where it has none.
[[nodiscard]] std::string_view describe(Code code);

}  // namespace backupkit
