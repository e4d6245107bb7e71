package org.backupkit.store;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.util.Objects;
import org.backupkit.BackupException;
import org.backupkit.ErrorCode;

/** Why a bundle did not come through: a code and a sentence. */
record Failure(int code, String message) {
  /** The failure of one file; the sentence begins with {@code what}, which names it. */
  static Failure of(String what, IOException cause) {
    String reason = Objects.requireNonNullElse(cause.getMessage(), cause.toString());
    if (cause instanceof FileSystemException named && named.getReason() != null) {
      reason = named.getReason();
    } else if (cause instanceof FileSystemException) {
      reason = cause.getClass().getSimpleName() + " " + reason;
    }
    return new Failure(code(cause, reason), what + ": " + reason);
  }

  static Failure of(BackupException error) {
    return new Failure(error.code(), Objects.requireNonNullElse(error.getMessage(), ""));
  }

  private static int code(IOException cause, String reason) {
    if (cause instanceof BackupException failure) {
      return failure.code();
    }
    boolean full = reason.contains("No space left") || reason.contains("quota exceeded");
    return (full ? ErrorCode.NO_SPACE : ErrorCode.IO).code();
  }
}
