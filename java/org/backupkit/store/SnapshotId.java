package org.backupkit.store;

import java.time.DateTimeException;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;

/** The name of a snapshot: the time of its beginning, so that later ones are larger as text. */
final class SnapshotId {
  private static final DateTimeFormatter FORMAT =
      DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss.SSS'Z'").withZone(ZoneOffset.UTC);

  private SnapshotId() {}

  static String of(Instant time) {
    return FORMAT.format(time);
  }

  /** The time of a name that is one. */
  static Instant time(String id) {
    return FORMAT.parse(id, Instant::from);
  }

  /** Whether a name is that of a snapshot. */
  static boolean isOne(String name) {
    try {
      return of(time(name)).equals(name);
    } catch (DateTimeException e) {
      return false;
    }
  }
}
