package org.backupkit.soak;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.backupkit.store.RandomChanges;
import org.backupkit.store.TreeCensus;

/** A bundle whose data change by chance, and what its snapshots hold. */
final class App {
  final String bundle;
  final Path sandbox;
  final Map<String, Map<String, String>> snapshots = new LinkedHashMap<>();
  private final RandomChanges changes;
  private Map<String, String> before = Map.of();

  App(String bundle, Path sandbox, Random random) throws IOException {
    this.bundle = bundle;
    this.sandbox = sandbox;
    this.changes = new RandomChanges(sandbox, random);
  }

  /** Changes something, and remembers all. */
  void prepare(int count) throws Exception {
    for (int i = 0; i < count; i++) {
      changes.change();
    }
    before = census();
  }

  /** What was remembered. */
  Map<String, String> before() {
    return before;
  }

  List<String> changedSince() throws IOException {
    return TreeCensus.differences(before, census());
  }

  /** How the data differ from a snapshot's. */
  List<String> differsFrom(String snapshot) throws IOException {
    return TreeCensus.differences(snapshots.getOrDefault(snapshot, Map.of()), census());
  }

  private Map<String, String> census() throws IOException {
    Map<String, String> census = TreeCensus.of(sandbox);
    census.remove(""); // its time is that of what was done in it meanwhile
    // A restore that did not come to its end may have left one in .backup. Which of those here are
    // of one file, the first of them says.
    census.replaceAll((path, state) -> state.replaceFirst(" names \\d+", ""));
    return census;
  }
}
