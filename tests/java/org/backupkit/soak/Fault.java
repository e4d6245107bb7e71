package org.backupkit.soak;

/** What goes wrong in a session. */
enum Fault {
  NONE,
  EXTENSION_KILLED,
  HOOK_KILLED,
  CLIENT_KILLED,
  NO_DESCRIPTORS,
  DISK_FULL,
  BACKUP_DAMAGED,
  CANCELLED,
  RELEASED
}
