package org.backupkit.store;

import java.util.List;

/**
 * How one bundle of a backup or restore went.
 *
 * @param bundle its name
 * @param code 0, or the failure's code, one of {@link org.backupkit.ErrorCode}
 * @param message why it failed; empty where it did not
 * @param snapshot the snapshot that was written or restored; empty where there is none
 * @param files the files of the bundle's backup that were moved
 * @param bytes the bytes of these files
 * @param bytesMoved the bytes that passed through the service's or the extension's memory
 * @param bytesShared the bytes that were handed over by descriptor alone
 * @param unreadable what the extension could not read, one line each; the snapshot lacks it
 */
public record BundleResult(
    String bundle,
    int code,
    String message,
    String snapshot,
    long files,
    long bytes,
    long bytesMoved,
    long bytesShared,
    List<String> unreadable) {

  /** Makes a result whose list nobody can change. */
  public BundleResult {
    unreadable = List.copyOf(unreadable);
  }

  /**
   * Whether all of the bundle was backed up or restored.
   *
   * @return false for a partial snapshot, too
   */
  public boolean succeeded() {
    return code == 0;
  }

  /**
   * Whether a snapshot was written that lacks what could not be read.
   *
   * @return true for a snapshot that is usable but not whole
   */
  public boolean partial() {
    return code != 0 && !snapshot.isEmpty() && !unreadable.isEmpty();
  }
}
