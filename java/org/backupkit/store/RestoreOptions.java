package org.backupkit.store;

/**
 * What a restore may be told. There is nothing to choose yet: what the backup has replaces what is
 * there, the rest stays.
 */
public record RestoreOptions() {
  /**
   * The usual way.
   *
   * @return a merge of the snapshot into what is there
   */
  public static RestoreOptions defaults() {
    return new RestoreOptions();
  }
}
