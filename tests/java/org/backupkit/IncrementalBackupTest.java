package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What an incremental backup sends, and that any of a chain of them comes back. */
class IncrementalBackupTest {
  private static final String BUNDLE = "com.example.notes";
  private static final int BIG = 3 << 20;
  private static final List<String> WITH_ATTRIBUTES =
      List.of("letters", "letters/a.txt", "big.bin");

  @TempDir private Path directory;
  private Device device;
  private Path sandbox;
  private BackupService service;
  private IncrementalRuns runs;

  @BeforeEach
  void makeApp() throws IOException {
    device = new Device(directory.resolve("device"));
    sandbox = device.addBundle(BUNDLE);
    Files.createDirectories(sandbox.resolve("letters/old"));
    Files.writeString(sandbox.resolve("letters/a.txt"), "a");
    Files.writeString(sandbox.resolve("letters/b;%.txt"), "b");
    Files.write(sandbox.resolve("big.bin"), Device.bytes(BIG));
    Files.createSymbolicLink(sandbox.resolve("link"), Path.of("letters/a.txt"));
    Files.createLink(sandbox.resolve("same"), sandbox.resolve("letters/a.txt"));
    Files.createLink(sandbox.resolve("samebig"), sandbox.resolve("big.bin"));
    service = BackupService.embedded(device.root());
    runs = new IncrementalRuns(service, BUNDLE, directory.resolve("store"));
  }

  @AfterEach
  void close() {
    service.close();
  }

  @Test
  void theFirstRunSendsAndListsEverything() throws Exception {
    IncrementalRuns.Run run = runs.backUp();
    assertEquals(
        Set.of(
            ".",
            "big.bin",
            "letters",
            "letters/a.txt",
            "letters/b%3B%25.txt",
            "letters/old",
            "link",
            "same",
            "samebig"),
        runs.rows(0).keySet());
    assertEquals("h", runs.rows(0).get("samebig")[8]);
    assertEquals("big.bin", runs.rows(0).get("samebig")[15]);
    assertTrue(run.totals().get("whyFull").textValue().contains("no manifest"));
    for (String[] row : runs.rows(0).values()) {
      assertTrue(run.sent().contains(row[14]), row[0]);
      assertEquals("1", row[6], row[0]);
    }
  }

  @Test
  void anUnchangedTreeSendsTheIndexAlone() throws Exception {
    runs.backUp();
    for (int run = 1; run < 4; run++) {
      assertEquals(List.of(), runs.backUp().sent(), "run " + run);
      assertEquals(runs.rows(0).keySet(), runs.rows(run).keySet());
      assertEquals("0", runs.rows(run).get("big.bin")[6]);
    }
  }

  @Test
  void aRewriteThatKeepsSizeAndTimeIsSent() throws Exception {
    Path letter = sandbox.resolve("letters/a.txt");
    FileTime time = FileTime.fromMillis(1_000_000_000_000L);
    Files.setLastModifiedTime(letter, time);
    runs.backUp();
    Files.writeString(letter, "A", StandardOpenOption.TRUNCATE_EXISTING);
    Files.setLastModifiedTime(letter, time);
    IncrementalRuns.Run run = runs.backUp();
    assertEquals(1, run.sent().size());
    assertEquals("1", runs.rows(1).get("letters/a.txt")[6]);
    assertEquals("0", runs.rows(1).get("big.bin")[6]);
    assertRestores(1);
  }

  @Test
  void aNewFileWithAnOldTimeIsSent() throws Exception {
    runs.backUp();
    Path old = Files.writeString(sandbox.resolve("letters/old/1970.txt"), "old");
    Files.setLastModifiedTime(old, FileTime.fromMillis(1));
    assertEquals(1, runs.backUp().sent().size());
    assertRestores(1);
  }

  @Test
  void aChangeOfMetadataAloneCarriesNoContent() throws Exception {
    runs.backUp();
    Files.setPosixFilePermissions(
        sandbox.resolve("letters/a.txt"), PosixFilePermissions.fromString("r--------"));
    Files.setPosixFilePermissions(
        sandbox.resolve("big.bin"), PosixFilePermissions.fromString("rw-rw-rw-"));
    Files.setPosixFilePermissions(
        sandbox.resolve("letters"), PosixFilePermissions.fromString("rwx------"));
    assertEquals(List.of(), runs.backUp().sent());
    assertRestores(1);
  }

  @Test
  void aTimeThatWasSet_carriesNoContent() throws Exception {
    setAttributes();
    runs.backUp();
    FileTime time = FileTime.fromMillis(1_000_000_000_000L);
    for (String path : List.of("letters/b;%.txt", "big.bin", "letters/a.txt", "letters")) {
      Files.setLastModifiedTime(sandbox.resolve(path), time);
    }
    assertEquals(List.of(), runs.backUp().sent());
    copyAside(1);
    Files.write(sandbox.resolve("big.bin"), new byte[] {1}, StandardOpenOption.WRITE);
    Files.setLastModifiedTime(sandbox.resolve("big.bin"), time);
    assertEquals(1, runs.backUp().sent().size(), "written, and the time set back");
    assertRestores(2);
    Device.empty(sandbox);
    runs.restore(1);
    assertEquals("", differences(aside(1)));
  }

  @Test
  void theLastAttributeRemoved_doesNotComeBack() throws Exception {
    setAttributes();
    runs.backUp();
    for (String path : WITH_ATTRIBUTES) {
      Tool.succeed("setfattr", "-x", "user.one", sandbox.resolve(path).toString());
    }
    assertEquals(2, runs.backUp().sent().size(), "the big file and a part");
    assertRestores(1);
    Device.empty(sandbox);
    runs.restore(0);
    assertEquals("1", attribute("letters/a.txt"));
  }

  @Test
  void aChangeOfMetadataAlone_ofWhatHasAttributes_carriesNoContent() throws Exception {
    setAttributes();
    runs.backUp();
    for (String path : WITH_ATTRIBUTES) {
      Files.setPosixFilePermissions(
          sandbox.resolve(path), PosixFilePermissions.fromString("rwxrwx---"));
    }
    assertEquals(List.of(), runs.backUp().sent());
    assertRestores(1);
    assertEquals("1", attribute("letters/a.txt"));
  }

  @Test
  void aBigFileThatWasMoved_carriesNoContent_andComesBackWhereItIsNow() throws Exception {
    Path alone = Files.write(sandbox.resolve("alone.bin"), Device.bytes(BIG + 2));
    runs.backUp();
    copyAside(0);
    Files.createDirectory(sandbox.resolve("albums"));
    Files.move(alone, sandbox.resolve("albums/1.bin"));
    Files.move(sandbox.resolve("big.bin"), sandbox.resolve("zbig.bin")); // behind its other name
    assertEquals(1, runs.backUp().sent().size(), "a part with the directory and the link");
    copyAside(1);
    assertEquals(runs.rows(0).get("alone.bin")[14], runs.rows(1).get("albums/1.bin")[14]);
    assertEquals(runs.rows(0).get("big.bin")[14], runs.rows(1).get("samebig")[14]);
    Files.write(sandbox.resolve("big.bin"), Device.bytes(BIG + 3));
    Files.move(sandbox.resolve("albums/1.bin"), alone);
    assertEquals(1, runs.backUp().sent().size(), "what is new at an old path");
    copyAside(2);
    for (int run : new int[] {1, 2, 0}) {
      Device.empty(sandbox);
      runs.restore(run);
      assertEquals("", differences(aside(run)), "run " + run);
    }
  }

  @Test
  void whatWasDeletedLeavesTheManifestAndDoesNotComeBack() throws Exception {
    runs.backUp();
    Files.delete(sandbox.resolve("letters/b;%.txt"));
    Files.delete(sandbox.resolve("big.bin"));
    runs.backUp();
    assertNull(runs.rows(1).get("big.bin"));
    assertEquals("f", runs.rows(1).get("samebig")[8], "the name that is left is the first now");
    assertRestores(1);
    assertFalse(Files.exists(sandbox.resolve("big.bin")));
  }

  @Test
  void everyRunOfAChainComesBack() throws Exception {
    Tool.need("rsync");
    runs.backUp();
    copyAside(0);
    Files.write(sandbox.resolve("big.bin"), Device.bytes(BIG + 1));
    Files.createLink(sandbox.resolve("letters/c.txt"), sandbox.resolve("letters/a.txt"));
    runs.backUp();
    copyAside(1);
    Files.delete(sandbox.resolve("link"));
    Files.createDirectories(sandbox.resolve("link/is/a/directory"));
    Files.move(sandbox.resolve("letters/old"), sandbox.resolve("letters/older"));
    runs.backUp();
    copyAside(2);
    Files.delete(sandbox.resolve("letters/a.txt"));
    Files.createDirectory(sandbox.resolve("letters/a.txt"));
    runs.backUp();
    copyAside(3);
    for (int run : new int[] {3, 0, 2, 1}) {
      Device.empty(sandbox);
      runs.restore(run);
      assertEquals("", differences(aside(run)), "run " + run);
    }
  }

  @Test
  void aManifestThatCannotBeUsedMeansAFullBackupThatSaysWhy() throws Exception {
    runs.backUp();
    Path manifest = runs.manifest(0);
    List<String> lines = Files.readAllLines(manifest);
    Path torn = directory.resolve("torn");
    Files.write(torn, lines.subList(0, lines.size() - 1));
    Path other = Files.writeString(directory.resolve("other"), "{}");
    Path empty = Files.writeString(directory.resolve("empty"), "");
    for (Path unusable : List.of(torn, other, empty)) {
      IncrementalRuns.Run run = runs.backUp(unusable);
      assertEquals(2, run.sent().size(), unusable.toString());
      assertTrue(run.totals().get("whyFull").textValue().contains("not used"), unusable.toString());
    }
  }

  @Test
  void aManifestOfVersionOneIsReadAndTheFilesAreSentAgain() throws Exception {
    Path seeds =
        Files.writeString(
            directory.resolve("v1"),
            """
            version=1.0&attrNum=8
            path;mode;dir;size;mtime;hash;isIncremental;encodeFlag
            /letters/a.txt;33188;0;1;1700000000;%s;1;0
            """
                .formatted("AB".repeat(32)));
    IncrementalRuns.Run run = runs.backUp(seeds);
    assertEquals(2, run.sent().size());
    assertTrue(run.totals().get("whyFull").textValue().contains("version 1"));
  }

  @Test
  void aManifestOfAnotherBundle_meansAFullBackupThatSaysWhy() throws Exception {
    Path others = device.addBundle("com.example.other");
    Files.createDirectories(others.resolve("letters/old"));
    IncrementalRuns other =
        new IncrementalRuns(service, "com.example.other", directory.resolve("other"));
    other.backUp();
    IncrementalRuns.Run run = runs.backUp(other.manifest(0));
    assertEquals(2, run.sent().size());
    String why = run.totals().get("whyFull").textValue();
    assertTrue(why.contains("another bundle's"), why);
    assertRestores(0);
  }

  @Test
  void theLastTimeIsAHint_andTheManifestDecides() throws Exception {
    runs.backUp();
    Files.writeString(sandbox.resolve("letters/a.txt"), "later");
    long future = System.currentTimeMillis() / 1000 + 1_000_000;
    assertEquals(1, runs.backUp(runs.manifest(0), future).sent().size());
    for (long time : new long[] {0, 1, future}) {
      IncrementalRuns.Run run = runs.backUp(runs.manifest(1), time);
      assertEquals(List.of(), run.sent(), "" + time);
      assertFalse(run.totals().has("whyFull"));
    }
    IncrementalRuns.Run full = runs.backUp(null, future);
    assertEquals(2, full.sent().size());
    assertTrue(full.totals().has("whyFull"));
  }

  @Test
  void eachFileComesWithTheRowsThatAreInIt() throws Exception {
    IncrementalRuns.Run run = runs.backUp();
    for (String uri : run.sent()) {
      List<String> lines =
          Files.readAllLines(directory.resolve("store/run0").resolve(uri + ".rows"));
      List<String> rows = lines.subList(2, lines.size() - 1);
      assertFalse(rows.isEmpty(), uri);
      for (String row : rows) {
        assertEquals(uri, row.split(";", -1)[14], row);
      }
    }
  }

  private void setAttributes() throws Exception {
    Tool.need("setfattr", "getfattr");
    for (String path : WITH_ATTRIBUTES) {
      Tool.succeed("setfattr", "-n", "user.one", "-v", "1", sandbox.resolve(path).toString());
    }
  }

  private String attribute(String path) throws Exception {
    String file = sandbox.resolve(path).toString();
    return Tool.succeed("getfattr", "--absolute-names", "--only-values", "-n", "user.one", file);
  }

  private void assertRestores(int run) throws Exception {
    Tool.need("rsync");
    copyAside(run);
    Device.empty(sandbox);
    runs.restore(run);
    assertEquals("", differences(aside(run)));
  }

  private Path aside(int run) {
    return directory.resolve("aside" + run);
  }

  private void copyAside(int run) throws Exception {
    Tool.succeed("cp", "-a", sandbox.toString(), aside(run).toString());
  }

  private String differences(Path other) throws Exception {
    return Tool.succeed(
        "rsync",
        "-aHAXn",
        "--delete",
        "--checksum",
        "--itemize-changes",
        other + "/",
        sandbox + "/");
  }
}
