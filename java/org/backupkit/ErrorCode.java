package org.backupkit;

/** The codes of the interface. */
public enum ErrorCode {
  /** The caller's user has no backup permission. */
  PERMISSION_DENIED(201, "Permission denied"),
  /** The caller is not a system app. */
  NOT_SYSTEM_APP(202, "Permission denied, non-system app called system api"),
  /** A parameter is wrong. */
  PARAMETER(401, "The input parameter is invalid"),
  /** The bundle is not part of the backup or restore. */
  NOT_ADDED(13500001, "The application is not added to the backup or restore"),
  /** The bundle's extension process could not be started. */
  EXTENSION_START_FAILED(13500002, "Failed to start application extension Procedure"),
  /** A time limit has passed. */
  TIMED_OUT(13500003, "Backup or restore timed out"),
  /** The bundle's extension process died. */
  EXTENSION_DIED(13500004, "Application extension death"),
  /** Packing failed. */
  PACK_FAILED(13500006, "Tar error"),
  /** The app's own code threw. */
  EXTENSION_THREW(13500007, "The application's backup code threw"),
  /** Unpacking failed. */
  UNPACK_FAILED(13500008, "Untar error"),
  /** The bundle was cancelled. */
  CANCELLED(13500010, "The backup or restore was cancelled"),
  /** Cancel of a bundle that had not begun. */
  CANCEL_NOT_BEGUN(13500011, "The bundle to cancel had not begun"),
  /** Cancel of a bundle that is not part of the session. */
  CANCEL_NOT_FOUND(13500012, "The bundle to cancel is not part of the session"),
  /** Another session is open. */
  SESSION_CONFLICT(13500013, "Another session is open"),
  /** The connection to the service broke. */
  IPC(13600001, "IPC error"),
  /** The operation is not permitted, or not at this time. */
  NOT_PERMITTED(13900001, "Operation not permitted"),
  /** Input or output failed. */
  IO(13900005, "I/O error"),
  /** Memory or descriptors ran out. */
  OUT_OF_MEMORY(13900011, "Out of memory"),
  /** An argument is wrong, or names what does not exist. */
  INVALID_ARGUMENT(13900020, "Invalid argument"),
  /** The device is full. */
  NO_SPACE(13900025, "No space left on device"),
  /** Anything else. */
  UNKNOWN(13900042, "Unknown error");

  private final int code;
  private final String message;

  ErrorCode(int code, String message) {
    this.code = code;
    this.message = message;
  }

  /**
   * The constant of a number.
   *
   * @param code the number
   * @return its constant, {@link #UNKNOWN} where there is none
   */
  public static ErrorCode of(int code) {
    for (ErrorCode candidate : values()) {
      if (candidate.code == code) {
        return candidate;
      }
    }
    return UNKNOWN;
  }

  /**
   * The number.
   *
   * @return as the interface has it
   */
  public int code() {
    return code;
  }

  /**
   * The interface's sentence.
   *
   * @return without a full stop
   */
  public String message() {
    return message;
  }
}
