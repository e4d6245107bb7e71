package org.backupkit.store;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.TreeMap;
import org.backupkit.store.Manifest.Row;
import org.jspecify.annotations.Nullable;

/**
 * What one bundle's backup begins with.
 *
 * @param home the directory of the bundle's snapshots
 * @param base the snapshot to build on
 * @param whyAnew why nothing is built on the newest snapshot; empty where that is no surprise
 * @param leftover what an interrupted run has brought already
 */
record Start(Path home, @Nullable Contents base, String whyAnew, @Nullable Leftover leftover) {
  /** Finds both; {@code full}: nothing is built on. What is left and of no use is removed. */
  static Start find(Path home, boolean full) throws IOException {
    Path newest = full ? null : Directories.newest(home);
    Contents base = null;
    String whyAnew = "";
    try {
      Contents contents = newest == null ? null : Contents.of(newest);
      base = contents == null || contents.manifest() == null ? null : contents;
    } catch (IOException e) {
      // Nothing is built on what is seen to be damaged: a new chain begins. verify() reads all.
      whyAnew = Failure.of("the snapshot \"" + newest + "\" cannot be built on", e).message();
    }
    return new Start(home, base, whyAnew, leftover(home));
  }

  private static @Nullable Leftover leftover(Path home) throws IOException {
    Leftover found = null;
    for (Path directory : Directories.startingWith(home, Incoming.PREFIX)) {
      Leftover usable = Leftover.of(directory);
      if (usable == null) {
        Directories.remove(directory);
      } else {
        if (found != null) {
          Directories.remove(found.directory());
        }
        found = usable;
      }
    }
    return found;
  }

  /**
   * The manifest of all that need not come again; null when everything must. It may be written for
   * this, next to what is left.
   */
  @Nullable Path manifest() throws IOException {
    Path known = base == null ? null : base.manifest();
    if (leftover == null || leftover.parts().isEmpty()) {
      return known;
    }
    TreeMap<String, Row> newer = new TreeMap<>();
    for (Leftover.Part part : leftover.parts().values()) {
      part.rows().values().forEach(row -> newer.put(row.walkKey(), row));
    }
    Path written = leftover.directory().resolve(Description.MANIFEST);
    try (Manifest.Writer merged = new Manifest.Writer(written)) {
      if (known != null) {
        Manifest.each(known, row -> add(merged, newer, row));
      }
      for (Row row : newer.values()) {
        merged.add(row);
      }
      merged.finish();
    }
    return written;
  }

  /** Adds an older row where there is no newer one of the entry, after the newer ones before it. */
  private static void add(Manifest.Writer merged, TreeMap<String, Row> newer, Row older)
      throws IOException {
    String key = older.walkKey();
    while (!newer.isEmpty() && newer.firstKey().compareTo(key) < 0) {
      merged.add(newer.pollFirstEntry().getValue());
    }
    Row instead = newer.remove(key);
    merged.add(instead == null ? older : instead);
  }

  /** When the base began, in seconds since 1970; 0 without one. */
  long since() {
    return base == null ? 0 : base.started().getEpochSecond();
  }

  /** When the next snapshot begins: now, but after every other, whatever the clock says. */
  Instant next() throws IOException {
    Instant now = Instant.ofEpochMilli(System.currentTimeMillis());
    Path newest = Directories.newest(home);
    if (newest == null) {
      return now;
    }
    Instant after = SnapshotId.time(newest.getFileName().toString()).plusMillis(1);
    return now.isBefore(after) ? after : now;
  }
}
