package org.backupkit.store;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.time.temporal.IsoFields;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;

/** Chooses what a store no longer keeps, and removes it. */
final class Pruning {
  /** A snapshot's name while it is removed; what a dead run leaves is swept. */
  static final String PREFIX = ".removing-";

  private Pruning() {}

  /**
   * Applies the rules to each bundle's snapshots, which come the oldest first.
   *
   * @throws IOException when a description is damaged: what it needs is not known
   */
  static PruneReport choose(List<Snapshot> snapshots, KeepRules rules) throws IOException {
    Map<String, List<Snapshot>> bundles = new LinkedHashMap<>();
    for (Snapshot snapshot : snapshots) {
      if (snapshot.isDamaged()) {
        throw Description.damaged(
            snapshot.directory(),
            "\""
                + snapshot.directory().resolve(Description.FILE)
                + "\" does not say what it needs; nothing was removed. Remove that snapshot by hand,"
                + " or restore its file");
      }
      bundles.computeIfAbsent(snapshot.bundle(), name -> new ArrayList<>()).add(0, snapshot);
    }
    List<Snapshot> kept = new ArrayList<>();
    List<Snapshot> removed = new ArrayList<>();
    Map<Snapshot, List<String>> needed = new LinkedHashMap<>();
    bundles.values().forEach(newestFirst -> sort(newestFirst, rules, kept, removed, needed));
    return new PruneReport(
        removed, kept, needed, removed.stream().mapToLong(Snapshot::bytes).sum());
  }

  private static void sort(
      List<Snapshot> newestFirst,
      KeepRules rules,
      List<Snapshot> kept,
      List<Snapshot> removed,
      Map<Snapshot, List<String>> needed) {
    Set<Snapshot> keep =
        new HashSet<>(newestFirst.subList(0, Math.min(rules.last(), newestFirst.size())));
    keep.addAll(newestOfEach(newestFirst, rules.daily(), Pruning::day));
    keep.addAll(newestOfEach(newestFirst, rules.weekly(), Pruning::week));
    // What stays must be whole: later ones have already added what they need when an earlier one's
    // turn comes.
    Set<Snapshot> stay = new HashSet<>(keep);
    for (Snapshot snapshot : newestFirst) {
      List<String> by =
          stay.stream()
              .filter(other -> other.needs().contains(snapshot.id()))
              .map(Snapshot::id)
              .sorted()
              .toList();
      if (keep.contains(snapshot)) {
        kept.add(snapshot);
      } else if (by.isEmpty()) {
        removed.add(snapshot);
      } else {
        needed.put(snapshot, by);
        stay.add(snapshot);
      }
    }
  }

  private static List<Snapshot> newestOfEach(
      List<Snapshot> newestFirst, int most, Function<LocalDate, ?> period) {
    Map<Object, Snapshot> newest = new LinkedHashMap<>();
    for (Snapshot snapshot : newestFirst) {
      LocalDate day = snapshot.time().atOffset(ZoneOffset.UTC).toLocalDate();
      newest.putIfAbsent(period.apply(day), snapshot);
    }
    return newest.values().stream().limit(most).toList();
  }

  private static LocalDate day(LocalDate day) {
    return day;
  }

  private static List<Integer> week(LocalDate day) {
    return List.of(day.get(IsoFields.WEEK_BASED_YEAR), day.get(IsoFields.WEEK_OF_WEEK_BASED_YEAR));
  }

  /**
   * Removes snapshots, each at once for whoever looks; the newest first, so that no chain breaks.
   */
  static void remove(List<Snapshot> snapshots) throws IOException {
    for (Snapshot snapshot : snapshots) {
      Path hidden = snapshot.directory().resolveSibling(PREFIX + snapshot.id());
      Files.move(snapshot.directory(), hidden, StandardCopyOption.ATOMIC_MOVE);
      Directories.sync(hidden.getParent());
      Directories.remove(hidden);
    }
  }
}
