package org.backupkit.store;

/**
 * One step of a backup, a restore or a look at a store's bytes.
 *
 * @param kind what happened
 * @param bundle the bundle that it happened to
 * @param text the snapshot's name for the {@link Kind#BEGIN} of a look at bytes; the file's name
 *     for {@link Kind#FILE}, the reason for {@link Kind#ANEW}, the service's JSON for {@link
 *     Kind#PROCESS} and {@link Kind#REPORT}, the snapshot's name or the reason of the failure for
 *     {@link Kind#END}
 * @param files the files of this bundle's backup that are moved so far
 * @param bytes the bytes of these files
 * @param code 0, or the failure's code
 */
public record ProgressEvent(
    Kind kind, String bundle, String text, long files, long bytes, int code) {

  /** What an event is about. */
  public enum Kind {
    /** The bundle has begun. */
    BEGIN,
    /** The bundle's newest snapshot cannot be built on: all of the bundle is backed up again. */
    ANEW,
    /** One file of the bundle's backup is moved. */
    FILE,
    /** The service says how far the bundle is. */
    PROCESS,
    /** The service says how the bundle went. */
    REPORT,
    /** The bundle has ended, well or not. */
    END
  }
}
