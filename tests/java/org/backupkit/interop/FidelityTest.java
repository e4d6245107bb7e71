package org.backupkit.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.Tool;
import org.backupkit.store.BackupReport;
import org.backupkit.store.Progress;
import org.backupkit.store.RestoreOptions;
import org.backupkit.store.RestoreReport;
import org.backupkit.store.Snapshot;
import org.backupkit.store.SnapshotStore;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * What comes back on another device is what was backed up, in every attribute, as other programs
 * see it. As root the trees have what only root can make, too.
 */
@Timeout(300)
class FidelityTest {
  private static final String EVERYTHING = "com.example.everything";
  private static final String OTHER = "com.example.other";

  @TempDir static Path shared;
  private static Device source;

  @TempDir Path directory;
  private Device target;
  private SnapshotStore store;

  @BeforeAll
  static void makeTheTree() throws Exception {
    Judges.need();
    source = new Device(shared.resolve("source"));
    Path tree = source.addBundle(EVERYTHING);
    Tool.succeed("sh", Judges.fixture("make.sh").toString(), tree.toString());
  }

  /** JUnit itself cannot: it may meet names and paths that are none for it. */
  @AfterAll
  static void removeTheTree() throws Exception {
    Tool.remove(source.root());
  }

  @BeforeEach
  void makeTheTarget() throws IOException {
    source.configure("{\"packingLimit\": 100000}");
    target = new Device(directory.resolve("target"));
    target.addBundle(EVERYTHING);
    target.addBundle(OTHER);
    store = SnapshotStore.open(directory.resolve("store"));
  }

  @AfterEach
  void removeTheTarget() throws Exception {
    Tool.remove(target.root());
    Tool.remove(source.sandbox(OTHER));
  }

  @Test
  void everyKindOfEntryComesBack_alsoOverItself() throws Exception {
    backUp(EVERYTHING);
    for (int time = 0; time < 2; ++time) {
      restore(EVERYTHING);
      Judges.assertSame(source.sandbox(EVERYTHING), target.sandbox(EVERYTHING));
    }
  }

  @Test
  void aHoleTakesNoRoomInTheStore() throws Exception {
    Judges.seen("truncate -s 2G sparse; echo end >>sparse", source.addBundle(OTHER));
    backUp(OTHER);
    String blocks = Judges.seen("du -s --block-size=512 .", directory.resolve("store"));
    assertTrue(Long.parseLong(blocks.split("\t")[0]) < 1000, blocks);
  }

  @Test
  void pathsLongerThanASystemCallTakesComeBack_alsoOverThemselves() throws Exception {
    Judges.seen("perl " + Judges.fixture("deep.pl"), source.addBundle(OTHER));
    backUp(OTHER);
    for (int time = 0; time < 2; ++time) {
      restore(OTHER);
      Judges.assertSame(source.sandbox(OTHER), target.sandbox(OTHER));
    }
  }

  @ParameterizedTest
  @EnumSource
  void otherProgramsUnpackWhatWasBackedUp(Program program) throws Exception {
    source.configure("{\"packingLimit\": 100000000}");
    backUp(EVERYTHING);
    Path tree = target.sandbox(EVERYTHING);
    program.run(onlyPart(), "-xp", "-C", tree.toString());
    Judges.assertSame(source.sandbox(EVERYTHING), tree, program.unpacks);
  }

  @ParameterizedTest
  @EnumSource
  void whatOtherProgramsPackedIsRestored(Program program) throws Exception {
    ForeignBackup backup = new ForeignBackup(directory.resolve("backup"));
    Path tree = source.sandbox(EVERYTHING);
    program.run(backup.part(), "-c", "--format=pax", "-C", tree.toString(), ".");
    assertEquals("", backup.restore(target, EVERYTHING).message());
    Judges.assertSame(tree, target.sandbox(EVERYTHING), program.packs);
  }

  @Test
  void whateverChangesComesWithTheNextBackup() throws Exception {
    Path tree = source.addBundle(OTHER);
    Path replaced = Files.createDirectory(tree.resolve("replaced"));
    changes("make", tree);
    makeTypes(types(), "$from", replaced);
    Judges.seen("find replaced -type s -delete", tree);
    backUp(OTHER);
    restore(OTHER);
    Judges.assertSame(tree, target.sandbox(OTHER));

    changes("change", tree);
    Device.empty(replaced);
    makeTypes(types(), "$to", replaced);
    try (BackupService service = BackupService.embedded(source.root())) {
      BackupReport report = store.backup(service, List.of(OTHER), Progress.NONE);
      assertTrue(report.succeeded(), report.toString());
    }
    restoreAsMirror();
    Judges.assertSame(tree, target.sandbox(OTHER));
    Tool.remove(target.sandbox(OTHER));
    Files.createDirectory(target.sandbox(OTHER));
    restore(OTHER);
    Judges.assertSame(tree, target.sandbox(OTHER));
  }

  @Test
  void everyTypeReplacesEveryOther() throws Exception {
    String types = types();
    Path wanted = source.addBundle(OTHER);
    makeTypes(types, "$to", wanted);
    makeTypes(types, "$from", target.sandbox(OTHER));
    backUp(OTHER);
    restoreAsMirror();
    Judges.assertSame(wanted, target.sandbox(OTHER));
  }

  private static void changes(String what, Path where) throws Exception {
    Tool.succeed("sh", Judges.fixture("changes.sh").toString(), what, where.toString());
  }

  private static String types() throws IOException {
    String types = "file big sparse empty full link fifo linked";
    return Device.isRoot() ? types + " char block" : types;
  }

  /** Makes an entry from-to, of the one or the other type, for each two. No backup has a socket. */
  private static void makeTypes(String types, String which, Path where) throws Exception {
    Judges.seen(
        """
        for from in absent socket %s; do
          for to in absent %s; do
            place=$from-$to
            [ $place != socket-absent ] || continue
            case %s in
              file) echo $place >$place ;;
              big) { echo $place; head -c 200000 /dev/zero; } >$place ;;
              sparse) truncate -s 100000 $place; echo $place >>$place ;;
              empty) mkdir $place ;;
              full) mkdir -p $place/in/it; echo $place >$place/in/it/file; ln -s file $place/in/link ;;
              link) ln -s $place $place ;;
              fifo) mkfifo $place ;;
              linked) echo $place >$place; ln $place $place-too ;;
              char) mknod $place c 1 7 ;;
              block) mknod $place b 7 7 ;;
              socket) perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => shift, Listen => 1)
                or die' $place ;;
            esac
          done
        done
        """
            .formatted(types, types, which),
        where);
  }

  private Path onlyPart() throws IOException {
    try (Stream<Path> files = Files.list(store.snapshots().get(0).directory())) {
      List<Path> parts = files.filter(file -> file.toString().endsWith(".tar")).toList();
      assertEquals(1, parts.size(), parts.toString());
      return parts.get(0);
    }
  }

  private void backUp(String bundle) throws IOException {
    try (BackupService service = BackupService.embedded(source.root())) {
      BackupReport report = store.backupFull(service, List.of(bundle), Progress.NONE);
      assertTrue(report.succeeded(), report.toString());
    }
  }

  private void restoreAsMirror() throws IOException {
    List<Snapshot> snapshots = store.snapshots();
    String newest = snapshots.get(snapshots.size() - 1).id();
    try (BackupService service = BackupService.embedded(target.root())) {
      RestoreOptions mirror = new RestoreOptions(RestoreOptions.Mode.MIRROR);
      RestoreReport report = store.restore(service, Map.of(OTHER, newest), mirror, Progress.NONE);
      assertTrue(report.succeeded(), report.toString());
    }
  }

  private void restore(String bundle) throws IOException {
    try (BackupService service = BackupService.embedded(target.root())) {
      RestoreReport report = store.restore(service, List.of(bundle), Progress.NONE);
      assertTrue(report.succeeded(), report.toString());
    }
  }
}
