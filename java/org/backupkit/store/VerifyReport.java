package org.backupkit.store;

import java.time.Duration;
import java.util.List;

/**
 * What a look at the bytes of a store has found.
 *
 * @param damage what is not as it was written; one for each place, the oldest snapshot of a bundle
 *     first
 * @param snapshots the snapshots looked at
 * @param files the files in them
 * @param hashed the files whose bytes were read and compared with their hash
 * @param unhashed the files of which only the size is known: of backups without integrity
 * @param bytes the bytes that were read
 * @param elapsed the time that it took
 */
public record VerifyReport(
    List<Damage> damage,
    long snapshots,
    long files,
    long hashed,
    long unhashed,
    long bytes,
    Duration elapsed) {

  /** Makes a report whose list nobody can change. */
  public VerifyReport {
    damage = List.copyOf(damage);
  }

  /**
   * Whether nothing is damaged.
   *
   * @return true when there is no damage
   */
  public boolean succeeded() {
    return damage.isEmpty();
  }

  /**
   * One damaged place.
   *
   * @param bundle the bundle; empty for the file that makes the directory a store
   * @param snapshot the snapshot that has it; empty likewise
   * @param file the file in the snapshot's directory; empty where a snapshot as a whole is missing
   * @param entry the path in the bundle's data; empty where it cannot be told, as in the index, the
   *     manifest and the description, which speak of all
   * @param message what is wrong with it
   */
  public record Damage(String bundle, String snapshot, String file, String entry, String message) {}
}
