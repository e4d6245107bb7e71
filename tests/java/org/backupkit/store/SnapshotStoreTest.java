package org.backupkit.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;
import org.backupkit.BackupException;
import org.backupkit.BackupService;
import org.backupkit.ErrorCode;
import org.backupkit.FileData;
import org.backupkit.internal.Await;
import org.backupkit.store.ProgressEvent.Kind;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class SnapshotStoreTest {
  private static final String NOTES = "com.example.notes";
  private static final String PHOTOS = "com.example.photos";
  private static final String FIRST_PART = "part.0.tar";
  private static final int BIG = 5 << 20;

  @TempDir Path folder;
  private Path root;
  private Path directory;

  @BeforeEach
  void makeDevice() throws IOException {
    root = folder.resolve("device");
    directory = folder.resolve("store");
    Path fixture = Path.of("tests/fixtures/device");
    try (Stream<Path> paths = Files.walk(fixture)) {
      for (Path path : paths.toList()) {
        Path target = root.resolve(fixture.relativize(path).toString());
        if (Files.isDirectory(path)) {
          Files.createDirectories(target);
        } else {
          Files.copy(path, target);
        }
      }
    }
    byte[] big = new byte[BIG];
    new Random(1).nextBytes(big);
    Files.write(root.resolve("data/photos/big.raw"), big);
  }

  @Test
  void restore_ofAWipedBundle_bringsBackEveryByte() throws IOException {
    Path letter = root.resolve("data/notes/drafts/letter.txt");
    Path photo = root.resolve("data/photos/big.raw");
    String text = Files.readString(letter);
    byte[] bytes = Files.readAllBytes(photo);
    SnapshotStore store = SnapshotStore.open(directory);
    try (BackupService service = BackupService.embedded(root)) {
      BackupReport backup = store.backupFull(service, List.of(NOTES, PHOTOS), Progress.NONE);
      assertTrue(backup.succeeded(), backup.toString());
      Files.delete(letter);
      Files.delete(photo);
      RestoreReport restore = store.restore(service, List.of(NOTES, PHOTOS), Progress.NONE);
      assertTrue(restore.succeeded(), restore.toString());
    }
    assertEquals(text, Files.readString(letter));
    assertEquals(-1, Arrays.mismatch(bytes, Files.readAllBytes(photo)));
  }

  @Test
  void backupWithoutIntegrity_namesNoHashOfABigFileAndRestoresIt() throws IOException {
    Path photo = root.resolve("data/photos/big.raw");
    byte[] bytes = Files.readAllBytes(photo);
    SnapshotStore store = SnapshotStore.open(directory);
    try (BackupService service = BackupService.embedded(root)) {
      store.backupFull(
          service, List.of(PHOTOS), BackupOptions.defaults().withIntegrity(false), Progress.NONE);
      Path snapshot = directory.resolve(PHOTOS).resolve(store.snapshots().get(0).id());
      String index = Files.readString(snapshot.resolve("manage.json"));
      assertTrue(index.contains("\"hash\":\"\""), index);
      Files.delete(photo);
      store.restore(service, List.of(PHOTOS), Progress.NONE);
    }
    assertEquals(-1, Arrays.mismatch(bytes, Files.readAllBytes(photo)));
  }

  /** What they cost is a name: their bytes stay where the extension has written them. */
  @Test
  void partAndManifest_onTheSameFileSystem_areTakenAndNotCopied() throws IOException {
    Assumptions.assumeTrue(
        Set.of("ext4", "xfs", "btrfs", "tmpfs").contains(Files.getFileStore(folder).type()),
        "the file system may have no unnamed files");
    SnapshotStore store = SnapshotStore.open(directory);
    List<Object> delivered = new ArrayList<>();
    try (BackupService service = BackupService.embedded(root)) {
      Progress whileItIsOpen = event -> delivered.addAll(openInodes(event));
      assertTrue(store.backupFull(service, List.of(NOTES), whileItIsOpen).succeeded());
    }
    Path snapshot = store.snapshots().get(0).directory();
    Path part =
        Directories.entries(snapshot).stream()
            .filter(file -> file.toString().endsWith(FIRST_PART))
            .findAny()
            .orElseThrow();
    for (Path file : List.of(part, snapshot.resolve("manifest"))) {
      assertTrue(delivered.contains(Files.getAttribute(file, "unix:ino")), delivered.toString());
      assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
    }
  }

  /** The inodes of the descriptors that this process has when a file has come. */
  private static List<Object> openInodes(ProgressEvent event) {
    List<Object> inodes = new ArrayList<>();
    if (event.kind() == Kind.FILE) {
      try (Stream<Path> descriptors = Files.list(Path.of("/proc/self/fd"))) {
        for (Path descriptor : descriptors.toList()) {
          if (Files.exists(descriptor)) {
            inodes.add(Files.getAttribute(descriptor, "unix:ino"));
          }
        }
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    return inodes;
  }

  /** It takes long to look through the data of an app, and longer to look through that of all. */
  @Test
  void capabilities_areAskedForTheBundlesAtHandAlone_andNotForSizes() throws Exception {
    try (BackupService service = BackupService.embedded(root);
        FileData all = Await.value(service.getLocalCapabilities())) {
      ObjectNode ofAll = Json.parse(all.fd().readAllBytes(), "all");
      ObjectNode ofOne = Capabilities.ask(service, List.of(NOTES));
      assertTrue(ofAll.path("bundleInfos").size() > 1, ofAll.toString());
      assertEquals(1, ofOne.path("bundleInfos").size(), ofOne.toString());
      ObjectNode sized = (ObjectNode) Objects.requireNonNull(Capabilities.entry(ofAll, NOTES));
      assertTrue(sized.remove("spaceOccupied").isNumber(), ofAll.toString());
      assertEquals(sized, Capabilities.entry(ofOne, NOTES));
      assertEquals(Capabilities.device(ofAll), Capabilities.device(ofOne));
      ObjectNode ofNone = Capabilities.ask(service, List.of("com.example.nowhere"));
      assertNull(Capabilities.entry(ofNone, "com.example.nowhere"));
    }
  }

  @Test
  void restore_ofAnOlderSnapshot_takesThatOne() throws IOException {
    Path note = root.resolve("data/notes/shopping.txt");
    Files.writeString(note, "old");
    SnapshotStore store = SnapshotStore.open(directory);
    try (BackupService service = BackupService.embedded(root)) {
      store.backup(service, List.of(NOTES), Progress.NONE);
      Files.writeString(note, "new");
      store.backup(service, List.of(NOTES), Progress.NONE);
      String first = store.snapshots().get(0).id();
      store.restore(service, Map.of(NOTES, first), RestoreOptions.defaults(), Progress.NONE);
      assertEquals("old", Files.readString(note));
      store.restore(service, List.of(NOTES), Progress.NONE);
      assertEquals("new", Files.readString(note));
    }
  }

  @Test
  void backup_tellsBeginFilesAndEndInOrder() throws IOException {
    List<ProgressEvent> events = new ArrayList<>();
    BackupReport report;
    try (BackupService service = BackupService.embedded(root)) {
      report = SnapshotStore.open(directory).backup(service, List.of(PHOTOS), events::add);
    }
    List<Kind> kinds =
        events.stream()
            .map(ProgressEvent::kind)
            .filter(kind -> kind != Kind.PROCESS && kind != Kind.REPORT)
            .toList();
    assertEquals(Kind.BEGIN, kinds.get(0));
    assertEquals(Kind.END, kinds.get(kinds.size() - 1));
    assertEquals(report.bundles().get(0).files(), kinds.stream().filter(Kind.FILE::equals).count());
    assertTrue(report.bundles().get(0).bytes() >= BIG, report.toString());
  }

  @Test
  void aListenerThatThrows_stopsNothing() throws IOException {
    Path note = root.resolve("data/notes/shopping.txt");
    String text = Files.readString(note);
    SnapshotStore store = SnapshotStore.open(directory);
    List<Throwable> thrown = new CopyOnWriteArrayList<>();
    Thread.UncaughtExceptionHandler usual = Thread.getDefaultUncaughtExceptionHandler();
    Thread.setDefaultUncaughtExceptionHandler((thread, error) -> thrown.add(error));
    Progress failing =
        event -> {
          throw new IllegalStateException(event.kind().toString());
        };
    try (BackupService service = BackupService.embedded(root)) {
      assertTrue(store.backup(service, List.of(NOTES), failing).succeeded());
      assertTrue(store.verify(100, failing).succeeded());
      Files.delete(note);
      assertTrue(store.restore(service, List.of(NOTES), failing).succeeded());
    } finally {
      Thread.setDefaultUncaughtExceptionHandler(usual);
    }
    assertEquals(text, Files.readString(note));
    assertTrue(thrown.size() > 4, thrown.toString());
  }

  @Test
  void snapshots_listsWhatWasWritten_andItsFilesAreThere() throws IOException {
    SnapshotStore store = SnapshotStore.open(directory);
    assertEquals(List.of(), store.snapshots());
    try (BackupService service = BackupService.embedded(root)) {
      store.backup(service, List.of(NOTES), Progress.NONE);
    }
    Snapshot snapshot = SnapshotStore.open(directory).snapshots().get(0);
    assertEquals(NOTES, snapshot.bundle());
    assertEquals("full", snapshot.kind());
    assertFalse(snapshot.partial());
    assertTrue(Files.isRegularFile(snapshot.directory().resolve("manage.json")));
    assertTrue(Files.isRegularFile(snapshot.directory().resolve("snapshot.json")));
    assertTrue(Files.isRegularFile(snapshot.directory().resolve("manifest")));
    assertTrue(Files.isRegularFile(partOf(snapshot)));
    long bytes = 0;
    for (Path file : Directories.entries(snapshot.directory())) {
      bytes += file.endsWith("snapshot.json") ? 0 : Files.size(file);
    }
    assertEquals(bytes, snapshot.bytes());
  }

  @Test
  void backup_withAnUnknownBundle_reportsItAndKeepsTheOthers() throws IOException {
    SnapshotStore store = SnapshotStore.open(directory);
    BackupReport report;
    try (BackupService service = BackupService.embedded(root)) {
      report = store.backup(service, List.of("com.example.none", NOTES), Progress.NONE);
    }
    assertEquals(ErrorCode.NOT_ADDED.code(), report.bundles().get(0).code());
    assertTrue(report.bundles().get(1).succeeded(), report.toString());
    assertEquals(1, store.snapshots().size());
  }

  @Test
  void backup_ofABundleThatCouldNotBeRestored_fails() throws IOException {
    List<ProgressEvent> events = new ArrayList<>();
    Map<String, Start> starts = Map.of(NOTES, Start.find(directory.resolve(NOTES), false));
    try (BackupService service = BackupService.embedded(root)) {
      ObjectNode without = Json.object(); // a capability file that does not know it
      new BackupRun(service, without, starts, BackupOptions.defaults(), events::add)
          .onBundleBegin(null, NOTES);
    }
    assertEquals(List.of(Kind.END), events.stream().map(ProgressEvent::kind).toList());
    assertTrue(events.get(0).text().contains("capability file"), events.toString());
  }

  @Test
  void backup_removesWhatADeadRunLeft() throws IOException {
    Path left = directory.resolve(NOTES).resolve(".incoming-20200101T000000.000Z");
    SnapshotStore store = SnapshotStore.open(directory);
    Files.createDirectories(left);
    Files.writeString(left.resolve("part.0.tar"), "torn");
    try (BackupService service = BackupService.embedded(root)) {
      store.backup(service, List.of(NOTES), Progress.NONE);
    }
    assertFalse(Files.exists(left));
    assertEquals(1, store.snapshots().size());
  }

  @Test
  void backup_withoutBundles_isAnInvalidArgument() throws IOException {
    SnapshotStore store = SnapshotStore.open(directory);
    try (BackupService service = BackupService.embedded(root)) {
      BackupException failure =
          assertThrows(
              BackupException.class, () -> store.backup(service, List.of(), Progress.NONE));
      assertEquals(ErrorCode.INVALID_ARGUMENT, failure.error());
      for (String name : List.of("a/b", "..", "", ".hidden")) {
        failure =
            assertThrows(
                BackupException.class, () -> store.backup(service, List.of(name), Progress.NONE));
        assertEquals(ErrorCode.INVALID_ARGUMENT, failure.error());
      }
    }
    assertFalse(Files.exists(directory));
  }

  @Test
  void open_ofADirectoryWithOtherThings_refusesAndNamesIt() throws IOException {
    IOException failure = assertThrows(IOException.class, () -> SnapshotStore.open(root));
    assertTrue(failure.getMessage().contains(root.toString()), failure.getMessage());
    assertTrue(failure.getMessage().contains("not a backup store"), failure.getMessage());
  }

  @Test
  void restore_withoutASnapshot_namesTheBundle() throws IOException {
    SnapshotStore store = SnapshotStore.open(directory);
    try (BackupService service = BackupService.embedded(root)) {
      BackupException failure =
          assertThrows(
              BackupException.class, () -> store.restore(service, List.of(NOTES), Progress.NONE));
      assertEquals(NOTES, failure.bundleName());
    }
  }

  @Test
  void restore_ofASnapshotWithATruncatedFile_touchesNothing() throws IOException {
    SnapshotStore store = SnapshotStore.open(directory);
    try (BackupService service = BackupService.embedded(root)) {
      store.backup(service, List.of(NOTES), Progress.NONE);
      Path part = partOf(store.snapshots().get(0));
      Files.writeString(part, "short");
      Files.writeString(root.resolve("data/notes/shopping.txt"), "today's");
      BackupException failure =
          assertThrows(
              BackupException.class, () -> store.restore(service, List.of(NOTES), Progress.NONE));
      assertTrue(failure.getMessage().contains(part.toString()), failure.getMessage());
    }
    assertEquals("today's", Files.readString(root.resolve("data/notes/shopping.txt")));
  }

  private static Path partOf(Snapshot snapshot) throws IOException {
    try (Stream<Path> files = Files.list(snapshot.directory())) {
      return files.filter(file -> file.toString().endsWith("part.0.tar")).findFirst().orElseThrow();
    }
  }
}
