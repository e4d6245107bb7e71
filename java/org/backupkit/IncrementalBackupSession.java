package org.backupkit;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import org.backupkit.internal.AppCall;
import org.backupkit.internal.Arguments;
import org.backupkit.internal.Connection;

/**
 * An incremental backup of some bundles. Thread-safe. One session of any kind exists per service at
 * a time.
 */
public final class IncrementalBackupSession implements AutoCloseable {
  // Is not collected while this is in use.
  private final BackupService service;
  private final Session session;

  /**
   * Opens a session whose callbacks run on a thread of its own. Blocks until the service has
   * answered.
   *
   * @param service the service
   * @param callbacks what is told what happens
   * @throws BackupException 13500013 while another session is open, 401 for null callbacks, 201 or
   *     202 without permission
   */
  public IncrementalBackupSession(BackupService service, GeneralCallbacks callbacks)
      throws BackupException {
    this.service = service;
    this.session = new Session(service, callbacks, null, Connection.Kind.INCREMENTAL);
  }

  /**
   * Opens a session. Blocks until the service has answered.
   *
   * @param service the service
   * @param callbacks what is told what happens
   * @param executor where callbacks run, one at a time and in order
   * @throws BackupException 13500013 while another session is open, 401 for null callbacks, 201 or
   *     202 without permission
   */
  public IncrementalBackupSession(
      BackupService service, GeneralCallbacks callbacks, Executor executor) throws BackupException {
    this.service = service;
    this.session =
        new Session(
            service,
            callbacks,
            Arguments.present(executor, "executor"),
            Connection.Kind.INCREMENTAL);
  }

  /**
   * Names bundles; allowed any number of times before release. Does not block. What becomes of each
   * is told by the callbacks.
   *
   * @param bundlesToBackup the bundles; one said twice counts once
   * @return completes when the list was taken; fails with 13900020 for an empty list or an invalid
   *     name, with 401 for a null
   */
  public CompletableFuture<Void> appendBundles(List<IncrementalBackupData> bundlesToBackup) {
    return session.call(
        () -> session.append(BundleItems.ofIncremental(bundlesToBackup, null), null));
  }

  /**
   * Names bundles; allowed any number of times before release. Does not block. What becomes of each
   * is told by the callbacks.
   *
   * <p>With {@code "clearBackupData": "false"} in a bundle's object, what lies in the app's {@link
   * org.backupkit.extension.BackupExtensionContext#backupDir} stays there before and after; else it
   * is removed.
   *
   * @param bundlesToBackup the bundles; one said twice counts once
   * @param infos a JSON object for each, comments allowed
   * @return completes when the list was taken; fails with 13900020 for an empty list, an invalid
   *     name or infos that do not fit, with 401 for a null
   */
  public CompletableFuture<Void> appendBundles(
      List<IncrementalBackupData> bundlesToBackup, List<String> infos) {
    return session.call(
        () ->
            session.append(
                BundleItems.ofIncremental(bundlesToBackup, Arguments.present(infos, "infos")),
                null));
  }

  /**
   * Asks how much data bundles have. The answers come by {@link
   * GeneralCallbacks#onBackupSizeReport}, bundle by bundle; the future completes when the last one
   * is on its way there. A second call takes the place of one under way, and release ends it. Does
   * not block.
   *
   * @param precise whether every file is to be counted; else no file is looked at, and the size is
   *     the one counted last, or at the most what the bundle's whole file system has in use
   * @param dataList the bundles, and since when their changes are to be counted; those that are not
   *     installed are left out
   * @return completes when the reports have come; fails with 401 for a list that is null or has a
   *     null or an invalid name, with 13500010 when another call has taken its place, with 13900001
   *     after release
   */
  public CompletableFuture<Void> getBackupDataSize(
      boolean precise, List<IncrementalBackupTime> dataList) {
    return session.dataSize(precise, dataList);
  }

  /**
   * Asks what can be backed up here, without sizes: no file is looked at. Does not block.
   *
   * @return the capability file, which the caller closes; fails with 13900001 after release, with
   *     201 or 202 without permission, and otherwise as the service says
   */
  public CompletableFuture<FileData> getLocalCapabilities() {
    return session.capabilities();
  }

  /**
   * Ends one bundle; its end carries 13500010. Blocks for the service's answer.
   *
   * @param bundleName the bundle
   * @return 0 when the bundle ends by it; 13500011 when it had not begun, and will not; 13500012
   *     when it is not there, has ended, or is being committed already
   * @throws BackupException 401 for an invalid name, 13900001 after release
   */
  public int cancel(String bundleName) throws BackupException {
    return session.cancel(bundleName);
  }

  /**
   * Removes what an interrupted run of a bundle left in its sandbox, and what {@code
   * clearBackupData} has kept there. Does not block.
   *
   * @param bundleName the bundle
   * @return gives false while the bundle is running; fails with 401 for an invalid name, with
   *     13900020 for a bundle that is not installed, with 13900001 after release
   */
  public CompletableFuture<Boolean> cleanBundleTempDir(String bundleName) {
    return session.cleanTemp(bundleName);
  }

  /**
   * Asks an app about the compatibility of its data. Does not block.
   *
   * @param bundleName the app
   * @param extInfo a text for it
   * @return gives the app's text, "" where it says nothing within a second; fails with 401 for an
   *     invalid name or a null, with 13900020 for an app that is not installed, with 13900001 after
   *     release, with 13500003 while what was asked before still waits for the file system of the
   *     app
   */
  public CompletableFuture<String> getCompatibilityInfo(String bundleName, String extInfo) {
    return session.compatibility(AppCall.BACKUP_COMPATIBILITY, bundleName, extInfo);
  }

  /**
   * Ends the session; bundles still running are stopped, a restore that is committing is finished
   * first. Does not block. A second call gives the outcome of the first.
   *
   * @return completes when the service has let go of the session; no callback begins after that,
   *     one that has begun is not waited for
   */
  public CompletableFuture<Void> release() {
    return session.release();
  }

  /**
   * Releases the session and waits for that, from inside a callback without waiting. A callback
   * that has begun meanwhile is not waited for. Never throws.
   */
  @Override
  public void close() {
    session.close();
  }
}
