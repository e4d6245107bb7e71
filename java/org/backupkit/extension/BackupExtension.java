package org.backupkit.extension;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.InputStream;
import org.jspecify.annotations.Nullable;

/**
 * What an app runs during its own backup or restore. Override what is needed: a method that is not
 * overridden is never called. All calls but {@link #onProcess} come one at a time on the thread of
 * {@link #run}. What a method throws ends the bundle with error 13500007 and that message. A text
 * that is given back has at most 32768 bytes in UTF-8; a longer one is such an error too.
 *
 * <pre>{@code
 * public final class NotesHook extends BackupExtension {
 *   public static void main(String[] arguments) {
 *     BackupExtension.run(new NotesHook());
 *   }
 *
 *   @Override
 *   protected void onRestore(BundleVersion version) throws IOException {
 *     Files.deleteIfExists(context().sandbox().resolve("index"));
 *   }
 * }
 * }</pre>
 */
public abstract class BackupExtension {
  private volatile @Nullable BackupExtensionContext context;

  /** Makes an extension; {@link #context} is not there yet. */
  protected BackupExtension() {}

  /**
   * Called before the app's data is read. May block within the bundle's time limit.
   *
   * @throws Exception to end the backup of this app
   */
  protected void onBackup() throws Exception {}

  /**
   * Called before the app's data is read, instead of {@link #onBackup} if it gives a text. May
   * block within the bundle's time limit.
   *
   * <p>A report {@code {"compatibleDirMapping": ["files/new"]}} has the directory stored as {@code
   * files/new} whose {@code restoreDir} that is in the bundle's file.
   *
   * @param backupInfo what the caller of the backup tells this app, JSON, or ""
   * @return the app's report to that caller; "" has {@link #onBackup} called as well
   * @throws Exception to end the backup of this app
   */
  protected String onBackupEx(String backupInfo) throws Exception {
    return "";
  }

  /**
   * Called when the app's data is in place. May block within the bundle's time limit.
   *
   * @param version the version of the app that was backed up
   * @throws Exception to end the restore of this app and to have its old data back
   */
  protected void onRestore(BundleVersion version) throws Exception {}

  /**
   * Called when the app's data is in place, instead of {@link #onRestore} if it gives a text. May
   * block within the bundle's time limit.
   *
   * @param version the version of the app that was backed up
   * @param restoreInfo what the caller of the restore tells this app, JSON, or ""
   * @return the app's report to that caller; "" has {@link #onRestore} called as well
   * @throws Exception to end the restore of this app and to have its old data back
   */
  protected String onRestoreEx(BundleVersion version, String restoreInfo) throws Exception {
    return "";
  }

  /**
   * Says how far the app is. Called every 5 s on another thread while another method works; must
   * answer within 1 s, the first time within 15 s. Three misses in a row end the bundle.
   *
   * @return the progress, handed on as it is; "" ends the asking
   */
  protected String onProcess() {
    return "";
  }

  /**
   * Says what the app tells about its backup to those who ask. Must answer within 5 s.
   *
   * @return any text
   */
  protected String onGetBackupInfo() {
    return "";
  }

  /**
   * Says what a backup by this app is compatible with. Must answer within 1 s, or "" is taken.
   *
   * @param extInfo what the asker tells
   * @return any text
   */
  protected String getBackupCompatibilityInfo(String extInfo) {
    return "";
  }

  /**
   * Says what a restore by this app is compatible with. Must answer within 1 s, or "" is taken.
   *
   * @param extInfo what the asker tells
   * @return any text
   */
  protected String getRestoreCompatibilityInfo(String extInfo) {
    return "";
  }

  /**
   * Called last, whatever came before. The program has 5 s from here to its end and is then killed.
   *
   * @param scenario what comes to its end
   * @throws Exception to no effect
   */
  protected void onRelease(Scenario scenario) throws Exception {}

  /**
   * Tells where the app is. For all threads.
   *
   * @return the same during the whole run
   * @throws IllegalStateException before {@link #run}
   */
  protected final BackupExtensionContext context() {
    BackupExtensionContext known = context;
    if (known == null) {
      throw new IllegalStateException("the context is there once run() was called");
    }
    return known;
  }

  /**
   * An app's whole main: serves the backup service on the standard streams and blocks until it says
   * that all is done. From here on {@code System.out} goes where {@code System.err} goes and {@code
   * System.in} is empty, for the streams are the service's; a program that the app starts must not
   * inherit them.
   *
   * @param extension what is called
   * @throws IllegalStateException if it was not the service that started this program
   */
  public static void run(BackupExtension extension) {
    BackupExtensionContext context = BackupExtensionContext.from(System.getenv());
    System.setIn(InputStream.nullInputStream());
    System.setOut(System.err);
    HookChannel.serve(
        extension,
        context,
        new FileInputStream(FileDescriptor.in),
        new FileOutputStream(FileDescriptor.out));
  }

  /** Makes {@link #context} answer. */
  final void enter(BackupExtensionContext context) {
    this.context = context;
  }
}
