package org.backupkit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.backupkit.Device;
import org.backupkit.store.Snapshot;
import org.backupkit.store.SnapshotStore;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What the command does with a store alone. */
@Timeout(60)
class StoreCommandsTest {
  private static final String BUNDLE = "com.example.notes";

  @TempDir Path folder;
  private Path sandbox;
  private String root;
  private String store;

  @BeforeEach
  void backUpTwice() throws IOException {
    Device device = new Device(folder.resolve("device"));
    sandbox = device.addBundle(BUNDLE);
    root = device.root().toString();
    store = folder.resolve("store").toString();
    Files.writeString(sandbox.resolve("a.txt"), "a");
    backUp();
    Files.writeString(sandbox.resolve("b.txt"), "b");
    backUp();
  }

  @Test
  void aNewStore_isItsOwnersAlone() throws IOException {
    assertEquals("rwx------", modeOf(Path.of(store)));
    Path present = Files.createDirectory(folder.resolve("present"));
    String mode = modeOf(present);
    CommandRun run = CommandRun.of("backup", "--root", root, "--to", present.toString());
    assertEquals(0, run.code(), run.errors());
    assertEquals(mode, modeOf(present));
  }

  @Test
  void backup_onADamagedSnapshot_saysThatAllComesAgain() throws IOException {
    Path manifest = snapshots().get(1).directory().resolve("manifest");
    Files.writeString(manifest, "x", StandardOpenOption.APPEND);
    CommandRun run = CommandRun.of("backup", "--root", root, "--to", store);
    assertEquals(0, run.code(), run.errors());
    assertTrue(run.errors().startsWith("backupkit: warning: \"" + BUNDLE), run.errors());
    assertTrue(run.errors().contains(manifest.getParent().toString()), run.errors());
    assertEquals(1, run.errors().lines().count(), run.errors());
    assertEquals("full", snapshots().get(2).kind());
    CommandRun next = CommandRun.of("backup", "--root", root, "--to", store);
    assertEquals("", next.errors());
    Files.delete(snapshots().get(3).directory().resolve("manifest"));
    CommandRun json = CommandRun.of("backup", "--root", root, "--to", store, "--json");
    assertTrue(json.output().contains("\"event\":\"anew\",\"bundle\":"), json.output());
    assertEquals("", json.errors());
  }

  private static String modeOf(Path directory) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(directory));
  }

  @Test
  void list_asJson_saysKindAndWhatASnapshotNeeds() throws IOException {
    List<String> lines = CommandRun.of("list", "--from", store, "--json").output().lines().toList();
    JsonNode second = CapabilityFile.MAPPER.readTree(lines.get(1));
    assertEquals("incremental", second.path("kind").asText());
    assertEquals(snapshots().get(0).id(), second.path("needs").path(0).asText());
  }

  @Test
  void verify_ofAWholeStore_isDone_andOfADamagedOneNamesTheEntry() throws IOException {
    CommandRun whole = CommandRun.of("verify", "--from", store);
    assertEquals(0, whole.code(), whole.errors());
    Path part = part(snapshots().get(1));
    byte[] bytes = Files.readAllBytes(part);
    bytes[bytes.length - 1025 - 511] ^= 1; // the first byte of what was changed last
    Files.write(part, bytes);
    CommandRun damaged = CommandRun.of("verify", "--from", store);
    assertEquals(1, damaged.code());
    assertTrue(damaged.errors().contains("b.txt"), damaged.errors());
    assertEquals(1, damaged.errors().lines().count());
    CommandRun json = CommandRun.of("verify", "--from", store, "--json");
    assertEquals(1, json.code());
    String last = json.output().lines().reduce("", (before, line) -> line);
    JsonNode found = CapabilityFile.MAPPER.readTree(last).path("damage").path(0);
    assertEquals("b.txt", found.path("entry").asText());
    assertEquals(0, CommandRun.of("verify", "--from", store, "--sample", "0").code());
    assertEquals(2, CommandRun.of("verify", "--from", store, "--sample", "101").code());
  }

  @Test
  void restore_asADryRun_saysWhatWouldBecomeOfTheEntries_andDoesNothing() throws IOException {
    Files.writeString(sandbox.resolve("a.txt"), "changed");
    backUp();
    String first = snapshots().get(0).id();
    String[] dry = {"restore", "--from", store, "--snapshot", first, "--dry-run", "--mirror"};
    CommandRun run = CommandRun.of(dry);
    assertEquals(0, run.code(), run.errors());
    assertTrue(run.output().contains("replaced  a.txt\n"), run.output());
    assertTrue(run.output().contains("removed   b.txt\n"), run.output());
    assertTrue(run.output().contains("snapshot " + first + ", 2 entries, 1 files"), run.output());
    assertEquals("changed", Files.readString(sandbox.resolve("a.txt")));
    CommandRun merge =
        CommandRun.of("restore", "--from", store, "--snapshot", first, "--dry-run", "--json");
    JsonNode plan = CapabilityFile.MAPPER.readTree(merge.output());
    assertEquals(0, plan.path("removed").size());
    assertTrue(plan.path("replaced").toString().contains("a.txt"), merge.output());
    Files.delete(part(snapshots().get(0)));
    assertEquals(1, CommandRun.of(dry).code());
  }

  @Test
  void prune_removesWhatNoRuleKeeps_andSaysWhatStaysAndWhy() throws IOException {
    String second = snapshots().get(1).id();
    CommandRun.of("backup", "--root", root, "--to", store, "--full");
    CommandRun dry = CommandRun.of("prune", "--from", store, "--keep-last", "1", "--dry-run");
    assertEquals(0, dry.code(), dry.errors());
    assertTrue(dry.output().contains("to remove  " + BUNDLE + "  " + second), dry.output());
    assertEquals(3, snapshots().size());
    assertEquals(0, CommandRun.of("prune", "--from", store, "--keep-last", "2").code());
    CommandRun needed = CommandRun.of("prune", "--from", store, "--keep-last", "2");
    assertTrue(needed.output().contains("by " + second), needed.output());
    assertEquals(3, snapshots().size());
    assertEquals(0, CommandRun.of("prune", "--from", store, "--keep-last", "1").code());
    assertEquals(1, snapshots().size());
    assertEquals(2, CommandRun.of("prune", "--from", store).code());
    assertEquals(2, CommandRun.of("prune", "--from", store, "--keep-last", "0").code());
  }

  private void backUp() {
    CommandRun run = CommandRun.of("backup", "--root", root, "--to", store);
    assertEquals(0, run.code(), run.errors());
  }

  private List<Snapshot> snapshots() throws IOException {
    return SnapshotStore.open(Path.of(store)).snapshots();
  }

  private static Path part(Snapshot snapshot) throws IOException {
    try (var files = Files.list(snapshot.directory())) {
      return files.filter(file -> file.toString().endsWith(".tar")).findFirst().orElseThrow();
    }
  }
}
