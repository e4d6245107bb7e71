package org.backupkit.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;
import org.backupkit.BackupException;
import org.backupkit.BackupFile;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.ErrorCode;
import org.backupkit.FileData;
import org.backupkit.GeneralCallbacks;
import org.backupkit.SessionBackup;
import org.backupkit.Tool;
import org.backupkit.internal.Await;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Snapshots that are built on one another. */
@Timeout(60)
class SnapshotChainTest {
  private static final String BUNDLE = "com.example.notes";
  private static final int MANY = 200;
  private static final int BIG = 3 << 20;

  @TempDir Path folder;
  private Device device;
  private Path sandbox;
  private BackupService service;
  private SnapshotStore store;

  @BeforeEach
  void makeApp() throws IOException {
    device = new Device(folder.resolve("device"));
    sandbox = device.addBundle(BUNDLE);
    Files.createDirectories(sandbox.resolve("letters/old"));
    Files.writeString(sandbox.resolve("letters/a.txt"), "a");
    Files.writeString(sandbox.resolve("letters/b;%.txt"), "b");
    Files.write(sandbox.resolve("big.bin"), Device.bytes(BIG));
    Files.createSymbolicLink(sandbox.resolve("link"), Path.of("letters/a.txt"));
    Files.createLink(sandbox.resolve("same"), sandbox.resolve("letters/a.txt"));
    Files.createLink(sandbox.resolve("samebig"), sandbox.resolve("big.bin"));
    service = BackupService.embedded(device.root());
    store = SnapshotStore.open(folder.resolve("store"));
  }

  @AfterEach
  void close() {
    service.close();
  }

  @Test
  void anEntryNamedAsTheManifestsEnd_isOneLikeAnyOther() throws IOException {
    Files.writeString(sandbox.resolve("end"), "not yet");
    restore(backUp());
    assertEquals("incremental", backUp().kind());
    assertEquals(List.of(), store.verify(100, Progress.NONE).damage());
  }

  @Test
  void aManifest_isWholeOnlyWithItsEndAndNothingBehindIt() throws IOException {
    Path manifest = backUp().directory().resolve("manifest");
    String text = Files.readString(manifest, StandardCharsets.ISO_8859_1);
    Manifest.read(manifest);
    for (String other : List.of(text.stripTrailing(), text + "x", text + "\n")) {
      Files.writeString(manifest, other, StandardCharsets.ISO_8859_1);
      assertThrows(IOException.class, () -> Manifest.read(manifest));
    }
  }

  @Test
  void anUnchangedBundle_addsTablesAlone() throws IOException {
    backUp();
    Snapshot second = backUp();
    assertEquals("incremental", second.kind());
    assertEquals(List.of(store.snapshots().get(0).id()), second.needs());
    assertEquals(second.needs().get(0), second.base());
    try (Stream<Path> files = Files.list(second.directory())) {
      assertEquals(
          List.of("manage.json", "manifest", "snapshot.json"),
          files.map(file -> file.getFileName().toString()).sorted().toList());
    }
  }

  /** A restore looks for as much room: each inode counts once, and holes do not. */
  @Test
  void theSpaceThatASnapshotSays_isThatOfTheCapabilityFile_alsoWhereNothingCame()
      throws IOException {
    Files.writeString(sandbox.resolve("cache"), "excluded");
    device.setRule(BUNDLE, "excludes", List.of("cache"));
    try (RandomAccessFile sparse = new RandomAccessFile(sandbox.resolve("sparse").toFile(), "rw")) {
      sparse.setLength(20L * BIG);
      sparse.write(Device.bytes(BIG));
    }
    for (int i = 0; i < MANY; i++) { // so many are read ahead
      Files.write(sandbox.resolve("small" + i), Device.bytes(1000));
    }
    JsonNode told;
    try (FileData file = Await.value(service.getLocalCapabilities())) {
      told = Capabilities.entry(Json.parse(file.fd().readAllBytes(), "all"), BUNDLE);
    }
    for (int run = 0; run < 2; run++) {
      ObjectNode description = Description.read(backUp().directory()).content();
      assertEquals(told, description.path("capability"));
    }
    assertEquals(2 * BIG + 2 + MANY * 1000, told.path("spaceOccupied").asLong());
  }

  @Test
  void everySnapshotOfAChain_comesBackAsItWas() throws Exception {
    Tool.need("rsync");
    List<Path> copies = new ArrayList<>();
    copies.add(backUpAndCopy());
    Files.write(sandbox.resolve("big.bin"), Device.bytes(BIG + 1));
    Files.createLink(sandbox.resolve("letters/c.txt"), sandbox.resolve("letters/a.txt"));
    copies.add(backUpAndCopy());
    Files.delete(sandbox.resolve("link"));
    Files.createDirectories(sandbox.resolve("link/is/a/directory"));
    Files.move(sandbox.resolve("letters/old"), sandbox.resolve("letters/older"));
    copies.add(backUpAndCopy());
    Files.delete(sandbox.resolve("letters/a.txt"));
    Files.createDirectory(sandbox.resolve("letters/a.txt"));
    copies.add(backUpAndCopy());
    List<Snapshot> snapshots = store.snapshots();
    for (int run : new int[] {3, 0, 2, 1}) {
      Device.empty(sandbox);
      restore(snapshots.get(run));
      assertEquals("", differences(copies.get(run)), "snapshot " + run);
    }
  }

  @Test
  void backupFull_beginsANewChain_thatStandsAlone() throws Exception {
    Tool.need("rsync");
    backUp();
    store.backupFull(service, List.of(BUNDLE), Progress.NONE);
    Snapshot full = store.snapshots().get(1);
    assertEquals("full", full.kind());
    assertEquals(List.of(), full.needs());
    Path copy = copy();
    assertEquals(List.of(full.id()), backUp().needs());
    Device.empty(sandbox);
    restore(store.snapshots().get(2));
    assertEquals("", differences(copy));
  }

  @Test
  void aSnapshot_needsNoLongerWhatWasReplaced() throws IOException {
    Files.delete(sandbox.resolve("samebig"));
    Snapshot first = backUp();
    Files.writeString(sandbox.resolve("new.txt"), "new");
    Files.writeString(sandbox.resolve("other.txt"), "other");
    Snapshot second = backUp();
    Files.delete(sandbox.resolve("new.txt"));
    assertEquals(List.of(first.id(), second.id()), backUp().needs());
    Files.delete(sandbox.resolve("other.txt"));
    assertEquals(List.of(first.id()), backUp().needs());
  }

  @Test
  void onADamagedSnapshot_nothingIsBuilt() throws IOException {
    Snapshot first = backUp();
    Files.write(first.directory().resolve("manifest"), new byte[] {1});
    Snapshot second = backUp();
    assertEquals("full", second.kind());
    assertTrue(whyFull(second).contains("manifest\" is not there or not of its size"));
    Files.delete(part(second));
    assertEquals("full", backUp().kind());
    Snapshot last = backUp();
    assertEquals("incremental", last.kind());
    assertEquals("", whyFull(last));
  }

  @Test
  void onASnapshotOfAnotherDirectory_nothingIsBuilt() throws IOException {
    backUp();
    Files.move(sandbox, folder.resolve("before"));
    Files.createDirectory(sandbox);
    Snapshot anew = backUp();
    assertEquals("full", anew.kind());
    assertTrue(whyFull(anew).contains("another bundle's, or of another directory of this one"));
    assertEquals(List.of(), anew.needs());
  }

  @Test
  void aSnapshotWhoseBaseIsDamaged_isNotRestored_andSaysWhich() throws IOException {
    Snapshot first = backUp();
    Snapshot second = backUp();
    Path part = part(first);
    Files.writeString(part, "short");
    Files.writeString(sandbox.resolve("letters/a.txt"), "today's");
    BackupException failure = assertThrows(BackupException.class, () -> restore(second));
    assertEquals(ErrorCode.UNPACK_FAILED, failure.error());
    assertTrue(failure.getMessage().contains(part.toString()), failure.getMessage());
    assertEquals("today's", Files.readString(sandbox.resolve("letters/a.txt")));
  }

  @Test
  void mirror_bringsBackWhatIsMissing_andRemovesWhatIsTooMuch() throws IOException {
    backUp();
    Files.delete(sandbox.resolve("big.bin"));
    Files.writeString(sandbox.resolve("later.txt"), "not in the backup");
    RestoreOptions mirror = new RestoreOptions(RestoreOptions.Mode.MIRROR);
    Map<String, String> ids = Map.of(BUNDLE, store.snapshots().get(0).id());
    assertTrue(store.restore(service, ids, mirror, Progress.NONE).succeeded());
    assertEquals(BIG, Files.size(sandbox.resolve("big.bin")));
    assertFalse(Files.exists(sandbox.resolve("later.txt")));
  }

  @Test
  void aDryRun_namesEveryNameOfAFileThatIsAnother() throws IOException {
    Path file = sandbox.resolve("letters/a.txt");
    FileTime time = Files.getLastModifiedTime(file);
    Snapshot first = backUp();
    Files.writeString(file, "b");
    Files.setLastModifiedTime(file, time);
    backUp();
    Map<String, String> ids = Map.of(BUNDLE, first.id());
    RestorePlan plan = store.planRestore(ids, RestoreOptions.defaults()).get(0);
    assertEquals(List.of("letters/a.txt", "same"), plan.replaced());
    assertEquals(List.of(), plan.written());
  }

  @Test
  void aSnapshotOfTheFirstFormat_isRestored_notMirrored_andNotBuiltOn() throws Exception {
    Tool.need("rsync");
    Snapshot old = backUpInTheFirstFormat();
    Path copy = copy();
    Device.empty(sandbox);
    store = SnapshotStore.open(folder.resolve("store"));
    assertTrue(store.restore(service, List.of(BUNDLE), Progress.NONE).succeeded());
    assertEquals("", differences(copy));
    RestoreOptions mirror = new RestoreOptions(RestoreOptions.Mode.MIRROR);
    BackupException failure =
        assertThrows(
            BackupException.class,
            () -> store.restore(service, Map.of(BUNDLE, old.id()), mirror, Progress.NONE));
    assertEquals(ErrorCode.INVALID_ARGUMENT, failure.error());
    assertEquals("full", backUp().kind());
    assertFalse(Files.readString(folder.resolve("store/backupkit-store.json")).contains("1"));
  }

  private static String whyFull(Snapshot snapshot) throws IOException {
    return Description.read(snapshot.directory()).text("whyFull");
  }

  private Snapshot backUp() throws IOException {
    BackupReport report = store.backup(service, List.of(BUNDLE), Progress.NONE);
    assertTrue(report.succeeded(), report.toString());
    List<Snapshot> snapshots = store.snapshots();
    return snapshots.get(snapshots.size() - 1);
  }

  private void restore(Snapshot snapshot) throws IOException {
    Map<String, String> ids = Map.of(BUNDLE, snapshot.id());
    RestoreReport report = store.restore(service, ids, RestoreOptions.defaults(), Progress.NONE);
    assertTrue(report.succeeded(), report.toString());
  }

  private Path backUpAndCopy() throws Exception {
    backUp();
    return copy();
  }

  private Path copy() throws Exception {
    Path aside = folder.resolve("aside" + store.snapshots().size());
    Tool.succeed("cp", "-a", sandbox.toString(), aside.toString());
    return aside;
  }

  private String differences(Path other) throws Exception {
    return Tool.succeed(
        "rsync", "-aHn", "--delete", "--checksum", "--itemize-changes", other + "/", sandbox + "/");
  }

  private static Path part(Snapshot snapshot) throws IOException {
    try (Stream<Path> files = Files.list(snapshot.directory())) {
      return files.filter(file -> file.toString().endsWith(".tar")).findFirst().orElseThrow();
    }
  }

  /** What the first version of the store wrote: a plain backup's files and their sizes. */
  private Snapshot backUpInTheFirstFormat() throws Exception {
    Path home = folder.resolve("store").resolve(BUNDLE);
    Path snapshot = Files.createDirectories(home.resolve("20250101T000000.000Z"));
    ObjectNode description = Json.object().put("format", 1).put("bundle", BUNDLE);
    description.put("id", "20250101T000000.000Z").put("kind", "full").put("partial", false);
    ArrayNode files = description.putArray("files");
    CountDownLatch ended = new CountDownLatch(1);
    GeneralCallbacks keeper =
        new GeneralCallbacks() {
          @Override
          public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
            try (file) {
              long size = file.fd().copyTo(snapshot.resolve(file.uri()));
              files.addObject().put("name", file.uri()).put("size", size);
            } catch (IOException e) {
              throw new IllegalStateException(e);
            }
          }

          @Override
          public void onAllBundlesEnd(@Nullable BackupException error) {
            ended.countDown();
          }
        };
    try (SessionBackup session = new SessionBackup(service, keeper)) {
      session.appendBundles(List.of(BUNDLE)).get();
      ended.await();
    }
    ObjectNode capabilities = Capabilities.ask(service, List.of(BUNDLE));
    description.set("capability", Capabilities.entry(capabilities, BUNDLE));
    description.set("device", Capabilities.device(capabilities));
    Files.write(snapshot.resolve("snapshot.json"), Json.bytes(description));
    Files.writeString(folder.resolve("store/backupkit-store.json"), "{\"format\":1}");
    return Snapshot.of(snapshot);
  }
}
