package org.backupkit.store;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.backupkit.Device;
import org.backupkit.interop.Judges;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Whatever an app does between its backups: every snapshot that is restored is the tree that was
 * there when it was taken.
 */
@Timeout(7200)
class RandomRoundsTest {
  private static final int ROUNDS = Truth.count(2000, 60);
  private static final int PACKING_LIMIT = 4096;
  private static final int MOST_CHANGES = 12;
  private static final int JUDGED = 30; // each so many rounds, other programs look, too
  private static final int KEPT = 12;

  @TempDir Path directory;

  private final Random random = Truth.random(RandomRoundsTest.class);
  private final Map<Snapshot, Map<String, String>> taken = new LinkedHashMap<>();
  private AppChain app;

  @Test
  void whateverChanges_everySnapshotComesBackAsItWas() throws Exception {
    Judges.need();
    long start = System.nanoTime();
    try (AppChain chain = new AppChain(directory, PACKING_LIMIT)) {
      app = chain;
      RandomChanges changes = new RandomChanges(app.source(), random);
      for (int round = 0; round < ROUNDS; round++) {
        try {
          play(round, changes);
        } catch (Exception | AssertionError e) {
          throw new AssertionError("round " + round + ", after " + changes.takeLog(), e);
        }
      }
      assertEquals(List.of(), app.store().verify(100, Progress.NONE).damage());
      System.out.printf(
          "RandomRoundsTest: %d rounds, %d changes, 0 differences, %d s%n",
          ROUNDS, changes.count(), (System.nanoTime() - start) / 1_000_000_000);
    }
  }

  private void play(int round, RandomChanges changes) throws Exception {
    changes.takeLog();
    if (!taken.isEmpty() && random.nextInt(20) == 0) {
      Snapshot old = any();
      app.restoreInPlace(old, RestoreOptions.Mode.MIRROR);
      assertSame(taken.get(old), app.source(), "in place");
    }
    for (int left = random.nextInt(MOST_CHANGES + 1); left > 0; left--) {
      changes.change();
    }
    Map<String, String> census = TreeCensus.of(app.source());
    Snapshot newest = random.nextInt(20) == 0 ? app.backUpFull() : app.backUp();
    assertSame(census, app.source(), "a backup changes nothing");
    taken.put(newest, census);
    comesBack(random.nextInt(4) == 0 ? any() : newest);
    if (round % JUDGED == JUDGED - 1) {
      comesBack(newest);
      Judges.assertSame(app.source(), app.target());
      prune();
    }
  }

  private void comesBack(Snapshot snapshot) throws Exception {
    RestoreOptions.Mode mode = RestoreOptions.Mode.MIRROR;
    if (random.nextInt(5) == 0) {
      Device.empty(app.target());
      mode = RestoreOptions.Mode.MERGE;
    }
    app.restore(snapshot, mode);
    assertSame(taken.get(snapshot), app.target(), snapshot.id() + " " + mode);
  }

  private static void assertSame(Map<String, String> expected, Path tree, String when)
      throws IOException {
    assertEquals(List.of(), TreeCensus.differences(expected, TreeCensus.of(tree)), when);
  }

  private void prune() throws Exception {
    app.store().prune(KeepRules.last(KEPT));
    List<String> left = app.store().snapshots().stream().map(Snapshot::id).toList();
    taken.keySet().removeIf(snapshot -> !left.contains(snapshot.id()));
  }

  private Snapshot any() {
    return new ArrayList<>(taken.keySet()).get(random.nextInt(taken.size()));
  }
}
