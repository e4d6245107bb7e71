package org.backupkit.store;

/**
 * What a restore may be told.
 *
 * @param mode what becomes of what is there and the snapshot lacks
 */
public record RestoreOptions(Mode mode) {
  /** What becomes of what is there and the snapshot lacks. */
  public enum Mode {
    /** It stays; what the snapshot has replaces what is there. */
    MERGE,
    /** It is removed, so far as a backup would have taken it. */
    MIRROR
  }

  /**
   * The usual way.
   *
   * @return a merge of the snapshot into what is there
   */
  public static RestoreOptions defaults() {
    return new RestoreOptions(Mode.MERGE);
  }

  /** What the session is told for each bundle. */
  String info() {
    return mode == Mode.MIRROR
        ? "{\"resume\":true,\"restoreMode\":\"mirror\"}"
        : "{\"resume\":true}";
  }
}
