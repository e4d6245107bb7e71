package org.backupkit.internal;

/** What of an app, or of its place, is asked for; by number. */
public enum AppCall {
  /** What the app tells of itself. */
  BACKUP_INFO,
  /** What the app says of a backup's compatibility. */
  BACKUP_COMPATIBILITY,
  /** What the app says of a restore's compatibility. */
  RESTORE_COMPATIBILITY,
  /** Removes what an interrupted run left. */
  CLEAN_TEMP
}
