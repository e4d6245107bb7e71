package org.backupkit.extension;

/** What an app is part of. */
public enum Scenario {
  /** A backup of the app. */
  BACKUP,
  /** A restore of the app. */
  RESTORE
}
