package org.backupkit.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import org.backupkit.BackupException;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.ErrorCode;
import org.backupkit.Tool;
import org.backupkit.interop.Judges;
import org.backupkit.store.ProgressEvent.Kind;
import org.backupkit.store.VerifyReport.Damage;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** That a run goes on where an interrupted one has left off, and believes nothing unseen. */
@Timeout(60)
class InterruptedBackupTest {
  private static final String BUNDLE = "com.example.notes";
  private static final String BIG = "0big.bin"; // the walk meets it first

  @TempDir Path folder;
  private Device device;
  private Path sandbox;
  private Path home;
  private SnapshotStore store;

  @BeforeEach
  void makeApp() throws IOException {
    Tool.need("rsync");
    device = new Device(folder.resolve("device"));
    sandbox = device.addBundle(BUNDLE);
    home = folder.resolve("store").resolve(BUNDLE);
    Files.write(sandbox.resolve(BIG), Device.bytes(3 << 20));
    store = SnapshotStore.open(folder.resolve("store"));
  }

  @Test
  void whatHasArrived_doesNotComeAgain_andAllIsRestored() throws Exception {
    writeNotes();
    interruptAtTheFirstPart();
    assertEquals(List.of(), store.snapshots());
    Map<Object, String> left = contentByInode(leftover());
    Files.writeString(sandbox.resolve("note1"), "changed meanwhile");
    List<String> sent = backUp();
    Snapshot snapshot = store.snapshots().get(0);
    assertEquals("full", snapshot.kind());
    assertEquals(List.of(), snapshot.needs());
    assertGoneOn(left, sent, snapshot);
    assertEquals(1, sent.stream().filter(uri -> uri.endsWith(".bin")).count());
    assertRestores();
  }

  @Test
  void anInterruptedIncrement_goesOn_andNeedsItsBase() throws Exception {
    Files.writeString(sandbox.resolve("first"), "first");
    backUp();
    writeNotes();
    interruptAtTheFirstPart();
    Map<Object, String> left = contentByInode(leftover());
    List<String> sent = backUp();
    Snapshot second = store.snapshots().get(1);
    assertEquals("incremental", second.kind());
    assertEquals(List.of(store.snapshots().get(0).id()), second.needs());
    assertGoneOn(left, sent, second);
    assertRestores();
  }

  @Test
  void whatIsTorn_comesAgain() throws Exception {
    writeNotes();
    interruptAtTheFirstPart();
    Map<Object, String> left = contentByInode(leftover());
    for (Path file : Directories.entries(leftover())) {
      if (Files.isRegularFile(file)) {
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length / 2] ^= 1;
        Files.write(file, bytes);
      }
    }
    assertEquals(3, backUp().size(), "the big file, the part and the index");
    Collection<String> names = contentByInode(store.snapshots().get(0).directory()).values();
    assertTrue(Collections.disjoint(names, left.values()), names.toString());
    assertEquals(List.of(), names(home, Incoming.PREFIX));
    assertEquals(List.of(), store.verify(100, Progress.NONE).damage());
  }

  @Test
  void aPartOfEveryKindOfEntry_isTakenOver_andNoneWithAnotherByte() throws Exception {
    Judges.need();
    writeNotes();
    Judges.seen(
        """
        mkdir -m 700 old; ln -s note1 link; ln note1 same; mkfifo fifo; truncate -s 36000 sparse
        long=$(printf 'n%.0s' $(seq 130)); echo one >$long; ln -s $long longlink
        touch -d 1969-12-31T23:59:58.5Z note4; echo end >>sparse
        setfattr -n user.comment -v 'a comment' note2 || :
        setfacl -m u:1001:r,g:1002:rw note3 || :
        """,
        sandbox);
    interruptAtTheFirstPart();
    Path left = leftover();
    Leftover found = Objects.requireNonNull(Leftover.of(left));
    assertEquals(1, found.parts().size());
    Path part = left.resolve(found.parts().keySet().iterator().next());
    byte[] whole = Files.readAllBytes(part);
    for (int at = 0; at < whole.length; at += 127) {
      byte[] flipped = whole.clone();
      flipped[at] ^= 1;
      Files.write(part, flipped);
      assertEquals(Map.of(), Objects.requireNonNull(Leftover.of(left)).parts(), "byte " + at);
    }
    Files.write(part, Arrays.copyOf(whole, whole.length - 512));
    assertEquals(Map.of(), Objects.requireNonNull(Leftover.of(left)).parts());
    Files.write(part, whole);
    assertGoneOn(contentByInode(left), backUp(), store.snapshots().get(0));
    assertRestores();
  }

  @Test
  void twoInterruptions_areOne() throws Exception {
    writeNotes();
    interruptAtTheFirstPart();
    Map<Object, String> left = contentByInode(leftover());
    Files.writeString(sandbox.resolve("znew"), "more");
    interruptAtTheFirstPart();
    left.putAll(contentByInode(leftover()));
    assertGoneOn(left, backUp(), store.snapshots().get(0));
  }

  @Test
  void aRunThatEndsBeforeItsFirstFile_leavesWhatWasThere() throws Exception {
    writeNotes();
    interruptAtTheFirstPart();
    Map<Object, String> left = contentByInode(leftover());
    interrupt(event -> event.kind() == Kind.BEGIN);
    assertGoneOn(left, backUp(), store.snapshots().get(0));
  }

  @Test
  void aLaterRunThatLeftNothingOfUse_takesNothingAway() throws Exception {
    writeNotes();
    interruptAtTheFirstPart();
    Map<Object, String> left = contentByInode(leftover());
    Files.createDirectory(home.resolve(Incoming.PREFIX + "29991231T235959.999Z"));
    assertGoneOn(left, backUp(), store.snapshots().get(0));
  }

  @Test
  void aFileThatTheServiceCannotHandOut_takesNothingElseAway() throws Exception {
    writeNotes();
    interruptAtTheFirstPart();
    Map<Object, String> left = contentByInode(leftover());
    BackupException lost = new BackupException(ErrorCode.IO.code(), "lost", BUNDLE, "lost.bin");
    try (BackupService service = BackupService.embedded(device.root())) {
      Map<String, Start> starts = Map.of(BUNDLE, Start.find(home, false));
      BackupRun run =
          new BackupRun(
              service,
              Capabilities.ask(service, List.of(BUNDLE)),
              starts,
              BackupOptions.defaults(),
              Progress.NONE);
      run.onBundleBegin(null, BUNDLE);
      run.onFileReady(lost, null);
      run.onBundleEnd(lost, BUNDLE);
    }
    assertEquals(left, contentByInode(leftover()));
    assertGoneOn(left, backUp(), store.snapshots().get(0));
  }

  @Test
  void anotherBundlesLeftover_staysForItsNextRun() throws Exception {
    writeNotes();
    interruptAtTheFirstPart();
    device.addBundle("com.example.other");
    try (BackupService service = BackupService.embedded(device.root())) {
      store.backup(service, List.of("com.example.other"), Progress.NONE);
    }
    assertNotNull(Leftover.of(leftover()));
  }

  @Test
  void damageInAPartWithReplacedEntries_isNamedAsWellAsItCanBe() throws Exception {
    writeNotes();
    String named = "n".repeat(120); // it stands in an extended header, which has no checksum
    Files.writeString(sandbox.resolve(named), "long");
    interruptAtTheFirstPart();
    Files.writeString(sandbox.resolve("note5"), "changed meanwhile");
    Files.delete(sandbox.resolve("note6"));
    backUp();
    assertEquals("note7", damaged("note 7"));
    assertEquals("note8", damaged("note8"));
    assertEquals(named, damaged("path=" + named));
    assertEquals("", damaged("note 5"), "it is of no entry of the snapshot");
    assertEquals("", damaged("note5"), "whether it is note7's header cannot be told");
  }

  /** Flips a bit of a text in the oldest part; gives the entry that this damages. */
  private String damaged(String text) throws IOException {
    Snapshot snapshot = store.snapshots().get(0);
    Path part =
        Directories.entries(snapshot.directory()).stream()
            .filter(file -> Leftover.isPart(file.getFileName().toString()))
            .findFirst()
            .orElseThrow();
    byte[] whole = Files.readAllBytes(part);
    byte[] flipped = whole.clone();
    flipped[new String(whole, StandardCharsets.ISO_8859_1).indexOf(text)] ^= 1;
    Files.write(part, flipped);
    List<Damage> damage = store.verify(100, Progress.NONE).damage();
    Files.write(part, whole);
    assertEquals(1, damage.size(), damage.toString());
    assertEquals(part.getFileName().toString(), damage.get(0).file());
    return damage.get(0).entry();
  }

  private void writeNotes() throws IOException {
    for (int i = 0; i < 20; i++) {
      Files.writeString(sandbox.resolve("note" + i), "note " + i);
    }
  }

  private void interruptAtTheFirstPart() throws IOException {
    interrupt(event -> event.kind() == Kind.FILE && Leftover.isPart(event.text()));
  }

  /** Kills the service as soon as it has told that. */
  private void interrupt(Predicate<ProgressEvent> when) throws IOException {
    try (BackupService service = BackupService.embedded(device.root())) {
      Progress killer =
          event -> {
            if (when.test(event)) {
              ProcessHandle.of(service.servicePid()).orElseThrow().destroyForcibly();
            }
          };
      BackupReport report = store.backup(service, List.of(BUNDLE), killer);
      assertNotEquals(0, report.bundles().get(0).code());
    }
  }

  private List<String> backUp() throws IOException {
    List<String> sent = new ArrayList<>();
    Progress noting =
        event -> {
          if (event.kind() == Kind.FILE) {
            sent.add(event.text());
          }
        };
    try (BackupService service = BackupService.embedded(device.root())) {
      BackupReport report = store.backup(service, List.of(BUNDLE), noting);
      assertTrue(report.succeeded(), report.toString());
    }
    return sent;
  }

  private void assertRestores() throws Exception {
    Path copy = folder.resolve("copy");
    Tool.succeed("cp", "-a", sandbox.toString(), copy.toString());
    Device.empty(sandbox);
    try (BackupService service = BackupService.embedded(device.root())) {
      assertTrue(store.restore(service, List.of(BUNDLE), Progress.NONE).succeeded());
    }
    String differences =
        Tool.succeed(
            "rsync",
            "-aHn",
            "--delete",
            "--checksum",
            "--itemize-changes",
            copy + "/",
            sandbox + "/");
    assertEquals("", differences);
  }

  private Path leftover() throws IOException {
    List<Path> found = Directories.startingWith(home, Incoming.PREFIX);
    assertEquals(1, found.size());
    return found.get(0);
  }

  private static List<String> names(Path home, String prefix) throws IOException {
    return Directories.startingWith(home, prefix).stream().map(Path::toString).toList();
  }

  /** That the files which were there are the snapshot's now, and only the others have come. */
  private void assertGoneOn(Map<Object, String> left, List<String> sent, Snapshot snapshot)
      throws IOException {
    Map<Object, String> now = contentByInode(snapshot.directory());
    assertTrue(now.keySet().containsAll(left.keySet()), left + " are not all in " + now);
    Set<String> parts = new TreeSet<>(sent);
    parts.addAll(left.values());
    parts.removeIf(uri -> !Leftover.isPart(uri));
    Set<String> stored = new TreeSet<>(now.values());
    stored.removeIf(uri -> !Leftover.isPart(uri));
    assertEquals(parts, stored);
    assertTrue(Collections.disjoint(left.values(), sent), left + " came again: " + sent);
    assertEquals(List.of(), names(home, Incoming.PREFIX));
    assertEquals(List.of(), store.verify(100, Progress.NONE).damage());
  }

  private static Map<Object, String> contentByInode(Path directory) throws IOException {
    Map<Object, String> names = new HashMap<>();
    for (Path file : Directories.entries(directory)) {
      String name = file.getFileName().toString();
      if (name.endsWith(".tar") || name.endsWith(".bin")) {
        names.put(Files.getAttribute(file, "unix:ino"), name);
      }
    }
    return names;
  }
}
