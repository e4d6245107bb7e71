package org.backupkit.store;

/**
 * What a backup may be told.
 *
 * @param integrity whether each big file is read once more to hash it. Without the hash a restore
 *     checks such a file by its size alone, and no byte of it passes through user space.
 */
public record BackupOptions(boolean integrity) {
  /**
   * The usual way.
   *
   * @return everything is hashed
   */
  public static BackupOptions defaults() {
    return new BackupOptions(true);
  }

  /** What the session is told for each bundle. */
  String info() {
    return integrity ? "{}" : "{\"integrity\":\"none\"}";
  }
}
