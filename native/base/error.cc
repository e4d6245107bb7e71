#include "backupkit/error.h"

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "native/base/errno_name.h"

namespace backupkit {
namespace {

Code code_of(int number) {
  switch (number) {
    case EPERM:
    case EACCES:
    case EROFS:
    case ETXTBSY:
      return Code::kNotPermitted;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
      return Code::kOutOfMemory;
    case EINVAL:
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case EXDEV:
      return Code::kInvalidArgument;
    case ENOSPC:
    case EDQUOT:
      return Code::kNoSpace;
    case EPIPE:
    case ECONNRESET:
    case ECONNREFUSED:
    case ENOTCONN:
      return Code::kIpc;
    default:
      return Code::kIo;
  }
}

}  // namespace

Error Error::from_errno(int number, std::string_view context) {
  return {code_of(number), number, std::string(context)};
}

Error Error::in(std::string_view what) const {
  return {code, sys_errno, std::string(what) + ": " + context};
}

std::string Error::message() const {
  if (sys_errno == 0) return context;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): that of glibc, and of musl, is thread-safe
  return context + ": " + errno_name(sys_errno) + " (" + std::strerror(sys_errno) + ")";
}

std::string errno_name(int number) {
#if defined(__GLIBC__)
  if (const char* name = ::strerrorname_np(number)) return name;
#endif
  return std::to_string(number);
}

std::unexpected<Error> errno_failure(std::string_view context) {
  return std::unexpected(Error::from_errno(errno, context));
}

std::string_view describe(Code code) {
  switch (code) {
    case Code::kUnsupported:
      return "Not supported for these operands";
    case Code::kClosed:
      return "Connection closed";
    case Code::kPermissionDenied:
      return "Permission verification failed";
    case Code::kNotSystemApp:
      return "Permission verification failed, application which is not a system application uses "
             "system API";
    case Code::kParameter:
      return "The input parameter is invalid";
    case Code::kNotAdded:
      return "The application is not added to the backup or restore";
    case Code::kExtensionStartFailed:
      return "Failed to start application extension Procedure";
    case Code::kTimedOut:
      return "Backup or restore timed out";
    case Code::kExtensionDied:
      return "Application extension death";
    case Code::kPackFailed:
      return "Failed to pack the application's files";
    case Code::kExtensionThrew:
      return "The application's own code failed";
    case Code::kUnpackFailed:
      return "Failed to unpack the application's files";
    case Code::kCancelled:
      return "The task was cancelled";
    case Code::kCancelNotBegun:
      return "The task to cancel has not begun";
    case Code::kCancelNotFound:
      return "The task to cancel is not there";
    case Code::kSessionConflict:
      return "Another session is open";
    case Code::kIpc:
      return "IPC error";
    case Code::kNotPermitted:
      return "Operation not permitted";
    case Code::kIo:
      return "I/O error";
    case Code::kOutOfMemory:
      return "Out of memory";
    case Code::kInvalidArgument:
      return "Invalid argument";
    case Code::kNoSpace:
      return "No space left on device";
    case Code::kUnknown:
      return "Unknown error";
  }
  return "Unknown error";
}

}  // namespace backupkit
