package org.backupkit;

/**
 * When a bundle was last backed up.
 *
 * @param bundleName the bundle
 * @param lastIncrementalTime seconds since the epoch; 0 = never
 */
public record IncrementalBackupTime(String bundleName, long lastIncrementalTime) {}
