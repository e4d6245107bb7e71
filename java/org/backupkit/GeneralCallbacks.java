package org.backupkit;

import org.jspecify.annotations.Nullable;

/**
 * What the service tells a session. Calls come one at a time, in order, on the session's executor.
 * An exception goes to that thread's uncaught handler and does not stop the session.
 */
public interface GeneralCallbacks {
  /**
   * A file is ready: to be read in a backup, to be written in a restore. The default closes it.
   *
   * <p>In a backup a big file that has changed before it was closed comes again, under the same
   * uri: what came last counts. It is looked at when it is closed, or when this has returned and
   * everything but {@code manage.json} was handed out; who copies it later compares it with the
   * hash there. A file that {@code manage.json} does not list changed each time, and is to be
   * thrown away.
   *
   * @param error why this one file could not be handed out; null when it was
   * @param file the file, which the receiver owns and must close; null when there is an error
   */
  default void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
    if (file != null) {
      file.close();
    }
  }

  /**
   * Files are ready: the next one, and all that wait behind it already. The default gives each to
   * {@link #onFileReady}; where this is overridden, nothing else is given any. What was not taken
   * out of the batch when this returns is closed, as if it had been received.
   *
   * @param files the files, of whichever of the session's bundles
   */
  default void onFileReadyBatch(FileBatch files) {
    files.forEach(this::onFileReady);
  }

  /**
   * A bundle has begun, or was refused.
   *
   * @param error why the bundle was refused, in which case no end follows; null when it began
   * @param bundleName the bundle
   */
  default void onBundleBegin(@Nullable BackupException error, String bundleName) {}

  /**
   * A bundle that had begun has ended.
   *
   * @param error why the bundle failed; null when all of it succeeded
   * @param bundleName the bundle
   */
  default void onBundleEnd(@Nullable BackupException error, String bundleName) {}

  /**
   * Every bundle of one {@code appendBundles} has ended or was refused.
   *
   * @param error why the session itself broke; null when it did not, whatever became of its bundles
   */
  default void onAllBundlesEnd(@Nullable BackupException error) {}

  /** The service is gone. Nothing follows. Files given out before stay valid. */
  default void onBackupServiceDied() {}

  /**
   * A report on one bundle: first the app's own if it gave one, then the service's.
   *
   * @param bundleName the bundle
   * @param result JSON
   */
  default void onResultReport(String bundleName, String result) {}

  /**
   * How far a bundle is.
   *
   * @param bundleName the bundle
   * @param process JSON
   */
  default void onProcess(String bundleName, String process) {}

  /**
   * How much data a bundle has, of those that were asked about; each comes as soon as it is known.
   *
   * <pre>
   *   report = { "scanned": [ ?bundle ], "scanning": name of the next bundle, "" after the last }
   *   bundle = { "bundleName": text, "dataSize": bytes, "incDataSize": bytes,
   *              "estimate"?: "last known" | "upper bound", "problem"?: text }
   * </pre>
   *
   * <p>A size that is not known is -1; in an estimate incDataSize is.
   *
   * @param report JSON, as above
   */
  default void onBackupSizeReport(String report) {}
}
