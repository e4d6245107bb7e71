package org.backupkit.extension;

import java.nio.file.Path;
import java.util.Map;

/**
 * Where an app's hook runs. Immutable.
 *
 * @param bundleName the app's bundle
 * @param sandbox the app's directory
 * @param backupDir the directory in the sandbox that no backup contains, which may be missing; a
 *     restore of a bundle that is {@code fullBackupOnly} leaves the data there. Unless the caller
 *     says {@code "clearBackupData": "false"}, it is emptied before the app is asked anything and
 *     removed at the end
 */
public record BackupExtensionContext(String bundleName, Path sandbox, Path backupDir) {

  /** What the service said in the environment; fails with IllegalStateException without it. */
  static BackupExtensionContext from(Map<String, String> environment) {
    return new BackupExtensionContext(
        value(environment, "BACKUPKIT_BUNDLE"),
        Path.of(value(environment, "BACKUPKIT_SANDBOX")),
        Path.of(value(environment, "BACKUPKIT_BACKUP_DIR")));
  }

  private static String value(Map<String, String> environment, String name) {
    String value = environment.get(name);
    if (value == null) {
      throw new IllegalStateException(
          name + " is not set; the backup service starts this program and sets it");
    }
    return value;
  }
}
