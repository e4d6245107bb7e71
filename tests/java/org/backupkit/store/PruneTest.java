package org.backupkit.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.backupkit.BackupException;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.Tool;
import org.backupkit.store.ProgressEvent.Kind;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a prune removes, and that what it keeps can be restored. */
@Timeout(60)
class PruneTest {
  private static final String BUNDLE = "com.example.notes";

  @TempDir Path folder;

  @Test
  void theLastOnes_areKept() throws IOException {
    List<Snapshot> all = snapshots("2026-03-01", "2026-03-02", "2026-03-03");
    PruneReport report = Pruning.choose(all, KeepRules.last(2));
    assertEquals(List.of("2026-03-01"), days(report.removed()));
    assertEquals(List.of("2026-03-03", "2026-03-02"), days(report.kept()));
    assertEquals(7, report.bytes());
    assertEquals(3, Pruning.choose(all, KeepRules.last(9)).kept().size());
  }

  @Test
  void theNewestOfEachDayAndWeekThatHasOne_isKept() throws IOException {
    List<Snapshot> all =
        Stream.of(
                "2025-12-28T10:00:00Z", // a Sunday
                "2025-12-29T10:00:00Z", // a Monday, of the first week of 2026
                "2026-01-01T10:00:00Z",
                "2026-01-10T09:00:00Z",
                "2026-01-10T23:59:59Z")
            .map(time -> snapshot(time, List.of()))
            .toList();
    PruneReport daily = Pruning.choose(all, new KeepRules(0, 2, 0));
    assertEquals(List.of("2026-01-10T23:59:59Z", "2026-01-01T10:00:00Z"), times(daily.kept()));
    PruneReport weekly = Pruning.choose(all, new KeepRules(0, 0, 3));
    assertEquals(
        List.of("2026-01-10T23:59:59Z", "2026-01-01T10:00:00Z", "2025-12-28T10:00:00Z"),
        times(weekly.kept()));
    PruneReport both = Pruning.choose(all, new KeepRules(2, 2, 0));
    assertEquals(3, both.kept().size());
  }

  @Test
  void rulesThatKeepNothing_cannotBeMade() {
    assertThrows(IllegalArgumentException.class, () -> new KeepRules(0, 0, 0));
    assertThrows(IllegalArgumentException.class, () -> new KeepRules(-1, 2, 0));
  }

  @Test
  void whatAKeptOneNeeds_stays_andEveryKeptOneIsRestored() throws IOException {
    Device device = new Device(folder.resolve("device"));
    Path sandbox = device.addBundle(BUNDLE);
    SnapshotStore store = SnapshotStore.open(folder.resolve("store"));
    try (BackupService service = BackupService.embedded(device.root())) {
      for (int i = 0; i < 5; i++) {
        Files.writeString(sandbox.resolve(i == 0 || i == 3 ? "seldom" : "often"), "" + i);
        assertTrue(store.backup(service, List.of(BUNDLE), Progress.NONE).succeeded());
      }
      List<String> ids = store.snapshots().stream().map(Snapshot::id).toList();
      KeepRules rules = KeepRules.last(1);
      assertEquals(5, store.snapshots().size());
      PruneReport plan = store.planPrune(rules);
      assertEquals(5, store.snapshots().size(), "a plan removes nothing");
      assertEquals(plan, store.prune(rules));
      // The newest needs the fourth, for what seldom changes, and that one the third.
      assertEquals(List.of(ids.get(4)), plan.kept().stream().map(Snapshot::id).toList());
      assertEquals(List.of(ids.get(1)), plan.removed().stream().map(Snapshot::id).toList());
      Map<String, List<String>> needed = new HashMap<>();
      plan.needed().forEach((snapshot, by) -> needed.put(snapshot.id(), by));
      assertEquals(List.of(ids.get(4)), needed.get(ids.get(3)));
      assertEquals(List.of(ids.get(3)), needed.get(ids.get(2)));
      assertEquals(List.of(ids.get(2), ids.get(3), ids.get(4)), needed.get(ids.get(0)));
      assertEquals(4, store.snapshots().size());
      assertEquals(List.of(), store.verify(100, Progress.NONE).damage());
      Device.empty(sandbox);
      assertTrue(store.restore(service, List.of(BUNDLE), Progress.NONE).succeeded());
      assertEquals("4", Files.readString(sandbox.resolve("often")));
      assertEquals("3", Files.readString(sandbox.resolve("seldom")));
      assertTrue(store.backup(service, List.of(BUNDLE), Progress.NONE).succeeded());
      assertEquals("incremental", store.snapshots().get(4).kind());
      for (Snapshot left : store.snapshots()) {
        Map<String, String> one = Map.of(BUNDLE, left.id());
        assertTrue(
            store.restore(service, one, RestoreOptions.defaults(), Progress.NONE).succeeded());
      }
    }
  }

  @Test
  void aDamagedDescription_forbidsToRemoveAnything() throws IOException {
    SnapshotStore store = storeWithTwoFullOnes();
    Path description = store.snapshots().get(1).directory().resolve("snapshot.json");
    Files.writeString(description, Files.readString(description).replace("full", "fuII"));
    assertTrue(store.snapshots().get(1).isDamaged());
    BackupException failure =
        assertThrows(BackupException.class, () -> store.prune(KeepRules.last(1)));
    assertTrue(failure.getMessage().contains(description.toString()), failure.getMessage());
    assertEquals(2, store.snapshots().size());
  }

  @Test
  void whatAPruneRemovesMeanwhile_isNoDamage() throws Exception {
    SnapshotStore store = storeWithTwoFullOnes();
    String older = store.snapshots().get(0).id();
    Progress pruning =
        event -> {
          if (event.kind() == Kind.BEGIN && event.text().equals(older)) {
            try {
              store.prune(KeepRules.last(1));
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          }
        };
    VerifyReport report = store.verify(100, pruning);
    assertEquals(List.of(), report.damage());
    assertEquals(1, report.snapshots());
  }

  @Test
  void whatAPruneRemovesMeanwhile_isNotListed() throws Exception {
    SnapshotStore store = storeWithTwoFullOnes();
    Path first = store.snapshots().get(0).directory();
    Path description = first.resolve("snapshot.json");
    Files.delete(description);
    Tool.succeed("mkfifo", description.toString());
    CompletableFuture<Void> removing =
        CompletableFuture.runAsync(
            () -> {
              try (OutputStream out = Files.newOutputStream(description)) { // waits for its reader
                Files.move(first, first.resolveSibling(Pruning.PREFIX + first.getFileName()));
                out.write('{');
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            });
    assertEquals(1, store.snapshots().size());
    removing.get();
  }

  @Test
  void whatADeadPruneLeft_isSwept() throws IOException {
    Device device = new Device(folder.resolve("device"));
    device.addBundle(BUNDLE);
    SnapshotStore store = SnapshotStore.open(folder.resolve("store"));
    try (BackupService service = BackupService.embedded(device.root())) {
      store.backupFull(service, List.of(BUNDLE), Progress.NONE);
    }
    Path left = folder.resolve("store").resolve(BUNDLE).resolve(".removing-20200101T000000.000Z");
    Files.createDirectory(left);
    assertEquals(1, store.snapshots().size());
    store.prune(KeepRules.last(1));
    assertFalse(Files.exists(left));
  }

  private SnapshotStore storeWithTwoFullOnes() throws IOException {
    Device device = new Device(folder.resolve("device"));
    device.addBundle(BUNDLE);
    SnapshotStore store = SnapshotStore.open(folder.resolve("store"));
    try (BackupService service = BackupService.embedded(device.root())) {
      store.backupFull(service, List.of(BUNDLE), Progress.NONE);
      store.backupFull(service, List.of(BUNDLE), Progress.NONE);
    }
    return store;
  }

  private static List<Snapshot> snapshots(String... days) {
    return Stream.of(days).map(day -> snapshot(day + "T12:00:00Z", List.of())).toList();
  }

  private static Snapshot snapshot(String time, List<String> needs) {
    Instant instant = Instant.parse(time);
    String id = SnapshotId.of(instant);
    return new Snapshot(BUNDLE, id, instant, "full", "", needs, false, 1, 7, Path.of(id));
  }

  private static List<String> days(List<Snapshot> snapshots) {
    return snapshots.stream().map(found -> found.time().toString().substring(0, 10)).toList();
  }

  private static List<String> times(List<Snapshot> snapshots) {
    return snapshots.stream().map(found -> found.time().toString()).toList();
  }
}
