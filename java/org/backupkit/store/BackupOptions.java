package org.backupkit.store;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * What a backup may be told.
 *
 * @param integrity whether each big file is read once more to hash it. Without the hash a restore
 *     checks such a file by its size alone, and no byte of it passes through user space.
 * @param rate the files per second that are asked for when a bundle begins; 0 pauses, and the
 *     service takes what is above its maximum for that
 * @param timeout how long each bundle may take from its begin on; null for the service's own limit,
 *     which is one on time without progress
 */
public record BackupOptions(boolean integrity, int rate, @Nullable Duration timeout) {
  private static final int HIGHEST_RATE = 800;
  private static final Duration LONGEST = Duration.ofHours(4);

  /**
   * Makes options.
   *
   * @throws IllegalArgumentException for a negative rate and a timeout outside 0 to 4 hours
   */
  public BackupOptions {
    if (rate < 0) {
      throw new IllegalArgumentException("The rate is negative: " + rate);
    }
    if (timeout != null && (timeout.isNegative() || timeout.compareTo(LONGEST) > 0)) {
      throw new IllegalArgumentException("The timeout is not within 0 to 4 hours: " + timeout);
    }
  }

  /**
   * The usual way.
   *
   * @return everything is hashed, the rate is the interface's highest, the service's limit holds
   */
  public static BackupOptions defaults() {
    return new BackupOptions(true, HIGHEST_RATE, null);
  }

  /**
   * The same with another integrity.
   *
   * @param chosen whether big files are hashed
   * @return the options
   */
  public BackupOptions withIntegrity(boolean chosen) {
    return new BackupOptions(chosen, rate, timeout);
  }

  /**
   * The same with another rate.
   *
   * @param chosen files per second
   * @return the options
   */
  public BackupOptions withRate(int chosen) {
    return new BackupOptions(integrity, chosen, timeout);
  }

  /**
   * The same with another timeout.
   *
   * @param chosen how long each bundle may take; null for the service's own limit
   * @return the options
   */
  public BackupOptions withTimeout(@Nullable Duration chosen) {
    return new BackupOptions(integrity, rate, chosen);
  }

  /** What the session is told for each bundle. */
  String info() {
    return integrity ? "{}" : "{\"integrity\":\"none\"}";
  }
}
