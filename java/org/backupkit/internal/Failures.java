package org.backupkit.internal;

import java.util.Map;
import org.backupkit.BackupException;
import org.backupkit.ErrorCode;
import org.jspecify.annotations.Nullable;

/** Makes exceptions out of the failures of native code and of the service. */
public final class Failures {
  private static final Map<Integer, String> ERRNO_NAMES =
      Map.ofEntries(
          Map.entry(1, "EPERM"),
          Map.entry(2, "ENOENT"),
          Map.entry(5, "EIO"),
          Map.entry(9, "EBADF"),
          Map.entry(11, "EAGAIN"),
          Map.entry(12, "ENOMEM"),
          Map.entry(13, "EACCES"),
          Map.entry(17, "EEXIST"),
          Map.entry(20, "ENOTDIR"),
          Map.entry(21, "EISDIR"),
          Map.entry(22, "EINVAL"),
          Map.entry(23, "ENFILE"),
          Map.entry(24, "EMFILE"),
          Map.entry(27, "EFBIG"),
          Map.entry(28, "ENOSPC"),
          Map.entry(29, "ESPIPE"),
          Map.entry(30, "EROFS"),
          Map.entry(32, "EPIPE"),
          Map.entry(36, "ENAMETOOLONG"),
          Map.entry(40, "ELOOP"),
          Map.entry(104, "ECONNRESET"),
          Map.entry(111, "ECONNREFUSED"),
          Map.entry(122, "EDQUOT"));

  private Failures() {}

  /**
   * Makes the exception of a failed native.
   *
   * @param code the interface's code
   * @param errno of the system call behind it; 0 for none
   * @param message what failed, on what
   * @return the exception, to be thrown
   */
  public static BackupException create(int code, int errno, String message) {
    return create(code, errno, message, null, null);
  }

  static BackupException create(
      int code, int errno, String message, @Nullable String bundle, @Nullable String uri) {
    return new BackupException(code, sentence(code, errno, message), bundle, uri);
  }

  static BackupException disconnected() {
    return new BackupException(
        ErrorCode.IPC, ErrorCode.IPC.message() + ": the connection to the service has ended");
  }

  private static String sentence(int code, int errno, String message) {
    StringBuilder text = new StringBuilder(ErrorCode.of(code).message());
    if (!message.isEmpty()) {
      text.append(": ").append(message);
    }
    if (errno != 0) {
      String name = ERRNO_NAMES.getOrDefault(errno, "errno " + errno);
      if (!message.contains(name)) {
        text.append(" (").append(name).append(')');
      }
    }
    return text.toString();
  }
}
