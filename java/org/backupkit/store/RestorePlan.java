package org.backupkit.store;

import java.util.List;

/**
 * What a restore of one bundle would do, so far as the store can tell: the device was not asked.
 * Where its data is as in the newest snapshot, the lists say what would become of it.
 *
 * @param bundle the bundle
 * @param snapshot the snapshot that would be restored
 * @param comparedWith the bundle's newest snapshot, which stands for what is there; empty where one
 *     of the two has no manifest, and then the lists are empty, too
 * @param written the entries of the snapshot that the newest one lacks
 * @param replaced the entries that are others in the newest one
 * @param removed the entries that the snapshot lacks: a mirror removes them, a merge has none
 * @param entries all entries of the snapshot; 0 where it has no manifest
 * @param files the files that would be handed over
 * @param bytes the bytes of these files
 */
public record RestorePlan(
    String bundle,
    String snapshot,
    String comparedWith,
    List<String> written,
    List<String> replaced,
    List<String> removed,
    long entries,
    long files,
    long bytes) {

  /** Makes a plan whose lists nobody can change. */
  public RestorePlan {
    written = List.copyOf(written);
    replaced = List.copyOf(replaced);
    removed = List.copyOf(removed);
  }
}
