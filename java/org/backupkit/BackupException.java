package org.backupkit;

import java.io.IOException;
import org.jspecify.annotations.Nullable;

/** A failure with one of the codes of {@link ErrorCode}. */
public final class BackupException extends IOException {
  private static final long serialVersionUID = 1;

  private final int code;
  private final @Nullable String bundleName;
  private final @Nullable String uri;

  /**
   * Makes a failure that concerns no bundle.
   *
   * @param error the code
   * @param message what failed, on what, and what to do
   */
  public BackupException(ErrorCode error, String message) {
    this(error.code(), message, null, null);
  }

  /**
   * Makes a failure.
   *
   * @param code the number; one that {@link ErrorCode} does not know is kept as it is
   * @param message what failed, on what, and what to do
   * @param bundleName the bundle that it concerns, or null
   * @param uri the file of the bundle that it concerns, or null
   */
  public BackupException(
      int code, String message, @Nullable String bundleName, @Nullable String uri) {
    super(message);
    this.code = code;
    this.bundleName = bundleName;
    this.uri = uri;
  }

  /**
   * The number.
   *
   * @return as the service sent it
   */
  public int code() {
    return code;
  }

  /**
   * The number's constant.
   *
   * @return {@link ErrorCode#UNKNOWN} where the number has none
   */
  public ErrorCode error() {
    return ErrorCode.of(code);
  }

  /**
   * The bundle that the failure concerns.
   *
   * @return its name, or null
   */
  public @Nullable String bundleName() {
    return bundleName;
  }

  /**
   * The file that the failure concerns.
   *
   * @return its name within the bundle's backup, or null
   */
  public @Nullable String uri() {
    return uri;
  }
}
