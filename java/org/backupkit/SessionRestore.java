package org.backupkit;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import org.backupkit.internal.AppCall;
import org.backupkit.internal.Arguments;
import org.backupkit.internal.Connection;
import org.jspecify.annotations.Nullable;

/** A restore of some bundles. Thread-safe. One session of any kind exists per service at a time. */
public final class SessionRestore implements AutoCloseable {
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
  public SessionRestore(BackupService service, GeneralCallbacks callbacks) throws BackupException {
    this.service = service;
    this.session = new Session(service, callbacks, null, Connection.Kind.RESTORE);
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
  public SessionRestore(BackupService service, GeneralCallbacks callbacks, Executor executor)
      throws BackupException {
    this.service = service;
    this.session =
        new Session(
            service, callbacks, Arguments.present(executor, "executor"), Connection.Kind.RESTORE);
  }

  /**
   * Names the bundles; allowed once. Does not block. What becomes of each is told by the callbacks.
   *
   * @param remoteCapabilities the capability file of where the backup was made; duplicated before
   *     this returns, read from offset 0
   * @param bundlesToRestore the bundles; a name said twice counts once
   * @param callback told when the list was taken; fails with 13900020 for an empty list, an invalid
   *     name, infos that do not fit or bundles that wait for each other, after which the call may
   *     be made again; with 13900001 the second time and after release
   */
  public void appendBundles(
      Fd remoteCapabilities, List<String> bundlesToRestore, AsyncCallback<Void> callback) {
    session.call(append(remoteCapabilities, bundlesToRestore, null), callback);
  }

  /**
   * Names the bundles; allowed once. Does not block. What becomes of each is told by the callbacks.
   *
   * @param remoteCapabilities the capability file of where the backup was made; duplicated before
   *     this returns, read from offset 0
   * @param bundlesToRestore the bundles; a name said twice counts once
   * @return completes when the list was taken; fails with 13900020 for an empty list, an invalid
   *     name, infos that do not fit or bundles that wait for each other, after which the call may
   *     be made again; with 13900001 the second time and after release
   */
  public CompletableFuture<Void> appendBundles(
      Fd remoteCapabilities, List<String> bundlesToRestore) {
    return session.call(append(remoteCapabilities, bundlesToRestore, null));
  }

  /**
   * Names the bundles; allowed once. Does not block. What becomes of each is told by the callbacks.
   *
   * <p>With {@code "resume": true} in a bundle's object, what is received outlasts an interrupted
   * restore of it, for a week or until the bundle is restored or {@link #cleanBundleTempDir}. A
   * restore that says so, too, is handed each file but {@code manage.json} with what was received
   * of it: the program keeps what is right and writes the rest, as {@link Fd#completeFrom} does.
   *
   * <p>With {@code "clearBackupData": "false"} in a bundle's object, what lies in the app's {@link
   * org.backupkit.extension.BackupExtensionContext#backupDir} stays there before and after, with
   * what the restore of a bundle that is {@code fullBackupOnly} has put there; else it is removed.
   *
   * @param remoteCapabilities the capability file of where the backup was made; duplicated before
   *     this returns, read from offset 0
   * @param bundlesToRestore the bundles; a name said twice counts once
   * @param infos a JSON object for each, comments allowed
   * @return completes when the list was taken; fails with 13900020 for an empty list, an invalid
   *     name, infos that do not fit or bundles that wait for each other, after which the call may
   *     be made again; with 13900001 the second time and after release
   */
  public CompletableFuture<Void> appendBundles(
      Fd remoteCapabilities, List<String> bundlesToRestore, List<String> infos) {
    return session.call(
        () ->
            append(remoteCapabilities, bundlesToRestore, Arguments.present(infos, "infos")).send());
  }

  /**
   * Asks for a file to write; it comes by {@link GeneralCallbacks#onFileReady}. Does not block. A
   * second time gives a fresh empty file.
   *
   * @param fileMeta the file
   * @param callback told when the request was taken; fails with 13900020 for a bundle that was not
   *     appended or a uri that is none, with 13900001 after everything was published
   */
  public void getFileHandle(FileMeta fileMeta, AsyncCallback<Void> callback) {
    session.call(() -> session.fileHandle(fileMeta), callback);
  }

  /**
   * Asks for a file to write; it comes by {@link GeneralCallbacks#onFileReady}. Does not block. A
   * second time gives a fresh empty file.
   *
   * @param fileMeta the file
   * @return completes when the request was taken; fails with 13900020 for a bundle that was not
   *     appended or a uri that is none, with 13900001 after everything was published
   */
  public CompletableFuture<Void> getFileHandle(FileMeta fileMeta) {
    return session.call(() -> session.fileHandle(fileMeta));
  }

  /**
   * Asks for several files to write, as {@link #getFileHandle} asks for each of them, in that
   * order. They come by {@link GeneralCallbacks#onFileReadyBatch}; one that cannot be made is told
   * there in its place, and the others come. Does not block.
   *
   * @param bundleName their bundle
   * @param uris their names; one that is said twice is a fresh empty file the second time
   * @return completes when all requests were taken; fails with 13900020 for an empty list or a name
   *     that is none, and nothing was asked for then, and as {@link #getFileHandle} for the first
   *     request that was refused: files that were asked for before it come
   */
  public CompletableFuture<Void> getFileHandles(String bundleName, List<String> uris) {
    return session.call(() -> session.fileHandles(bundleName, uris));
  }

  /**
   * Says that a file is written; with uri "", that every file of the bundle is, which applies the
   * bundle. Where "manage.json" is published first, with the complete manifest beside it, each part
   * is unpacked when it is published, while others come; "manage.json" can then not be asked for
   * again. Does not block.
   *
   * @param fileMeta the file
   * @param callback told when that was taken; fails with 13900020 for a file never asked for, with
   *     13900001 for one that still has a writer a second later
   */
  public void publishFile(FileMeta fileMeta, AsyncCallback<Void> callback) {
    session.call(() -> session.publish(fileMeta), callback);
  }

  /**
   * Says that a file is written; with uri "", that every file of the bundle is, which applies the
   * bundle. Where "manage.json" is published first, with the complete manifest beside it, each part
   * is unpacked when it is published, while others come; "manage.json" can then not be asked for
   * again. Does not block.
   *
   * @param fileMeta the file
   * @return completes when that was taken; fails with 13900020 for a file never asked for, with
   *     13900001 for one that still has a writer a second later
   */
  public CompletableFuture<Void> publishFile(FileMeta fileMeta) {
    return session.call(() -> session.publish(fileMeta));
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
   * Gives a file that lies elsewhere and publishes it, as it is: it is read there, by the app's
   * extension, and none has to be asked for and written. The file must not change before its bundle
   * ends. Of an archive this spares the whole copy; a big file is copied into the app's data, and
   * copied again by a restore that is resumed. Does not block.
   *
   * @param fileMeta the file
   * @param content a regular file that is open to be read only; it stays the caller's, who may
   *     close it at once, and its position may move
   * @return completes when that was taken; fails with 13900020 for another kind of descriptor, a
   *     bundle that was not appended, and the uris "" and "manage.json", with 13900011 where no
   *     descriptor is free for it: ask for a file and write it then
   */
  public CompletableFuture<Void> giveFile(FileMeta fileMeta, Fd content) {
    return session.call(() -> session.give(fileMeta, content));
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
    return session.compatibility(AppCall.RESTORE_COMPATIBILITY, bundleName, extInfo);
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

  private Session.Request append(
      Fd capabilities, List<String> bundles, @Nullable List<String> infos) {
    return session.appendOnce(
        () ->
            session.append(
                BundleItems.of(bundles, infos),
                Arguments.present(capabilities, "remoteCapabilities")));
  }
}
