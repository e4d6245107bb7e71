package org.backupkit.store;

import java.util.List;
import java.util.Map;

/**
 * What a prune has removed and kept.
 *
 * @param removed the snapshots that are gone, or would be
 * @param kept those that the rules keep
 * @param needed those that no rule keeps and that stay because one that stays needs files of them,
 *     with the ids of those; all that stay can be restored
 * @param bytes the bytes of the files of those removed
 */
public record PruneReport(
    List<Snapshot> removed, List<Snapshot> kept, Map<Snapshot, List<String>> needed, long bytes) {

  /** Makes a report whose collections nobody can change. */
  public PruneReport {
    removed = List.copyOf(removed);
    kept = List.copyOf(kept);
    needed = Map.copyOf(needed);
  }
}
