package org.backupkit.store;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;

/**
 * One bundle's backup in a store.
 *
 * @param bundle the bundle
 * @param id its name, which is the time of its beginning; later ones are larger as text
 * @param time the time of its beginning
 * @param kind {@code full}, {@code incremental}, or {@code damaged} when its description cannot be
 *     read and only the fields before this one and the directory are known
 * @param base the snapshot that it was compared with; empty for a full one
 * @param needs the earlier snapshots that hold files of it, the oldest first
 * @param partial whether something could not be read and is not in it
 * @param files the number of files in its own directory, the description not counted
 * @param bytes the bytes of these files
 * @param directory where it is
 */
public record Snapshot(
    String bundle,
    String id,
    Instant time,
    String kind,
    String base,
    List<String> needs,
    boolean partial,
    long files,
    long bytes,
    Path directory) {

  private static final String DAMAGED = "damaged";

  /** Makes one whose list nobody can change. */
  public Snapshot {
    needs = List.copyOf(needs);
  }

  /**
   * Whether its description cannot be read.
   *
   * @return true when nothing of it can be restored before that is repaired
   */
  public boolean isDamaged() {
    return kind.equals(DAMAGED);
  }

  static Snapshot of(Path directory) {
    String bundle = directory.getParent().getFileName().toString();
    String id = directory.getFileName().toString();
    Instant time = SnapshotId.time(id);
    try {
      Description found = Description.read(directory);
      return new Snapshot(
          bundle,
          id,
          time,
          found.text("kind"),
          found.text("base"),
          found.needs(),
          found.content().path("partial").asBoolean(),
          found.files().size(),
          found.bytes(),
          directory);
    } catch (IOException e) {
      return new Snapshot(bundle, id, time, DAMAGED, "", List.of(), false, 0, 0, directory);
    }
  }
}
