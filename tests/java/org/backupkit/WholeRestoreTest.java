package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.backupkit.internal.NativeLibrary;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a restore leaves in the sandbox, by the real service. */
@Timeout(60)
class WholeRestoreTest {
  private static final String APP = "com.example.app";
  private static final String MIRROR = "{\"restoreMode\":\"mirror\"}";

  @TempDir Path directory;
  private Device device;
  private Path store;
  private Path sandbox;

  @BeforeEach
  void backUpAndGoOn() throws Exception {
    Device.openToAll(directory);
    device = new Device(directory.resolve("device"));
    sandbox = device.addBundle(APP);
    device.setRule(APP, "excludes", List.of("cache"));
    Files.writeString(sandbox.resolve("note.txt"), "old");
    store = Files.createDirectory(directory.resolve("store"));
    Journal journal = new Journal(store);
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, journal)) {
      session.appendBundles(List.of(APP)).get();
      assertEquals(0, journal.await(Kind.END, APP).code());
    }
    Files.writeString(sandbox.resolve("note.txt"), "today's");
    Files.createDirectories(sandbox.resolve("cache"));
    Files.writeString(sandbox.resolve("cache/picture"), "excluded");
    Files.createDirectories(sandbox.resolve("new"));
    Files.writeString(sandbox.resolve("new/note.txt"), "not in the backup");
  }

  @Test
  void mirror_removesWhatTheBackupLacks_butWhatIsExcluded() throws Exception {
    assertEquals(0, restore(MIRROR).code());
    assertEquals(Set.of("note.txt", "cache/picture"), files());
    assertEquals("old", Files.readString(sandbox.resolve("note.txt")));
    assertFalse(Files.exists(sandbox.resolve("new")));
  }

  @Test
  void merge_leavesWhatTheBackupLacks() throws Exception {
    assertEquals(0, restore("{}").code());
    assertEquals(Set.of("note.txt", "cache/picture", "new/note.txt"), files());
    assertEquals("old", Files.readString(sandbox.resolve("note.txt")));
  }

  @Test
  void onRestoreThatFails_bringsTheOldDataBack() throws Exception {
    ShellHook.add(
        device,
        APP,
        Map.of("onRestore", "cat note.txt >seen; rm note.txt; answer '\"error\":\"no\"'"));
    assertEquals(ErrorCode.EXTENSION_THREW.code(), restore(MIRROR).code());
    assertEquals("old", Files.readString(sandbox.resolve("seen")));
    assertEquals("today's", Files.readString(sandbox.resolve("note.txt")));
    assertEquals(Set.of("note.txt", "cache/picture", "new/note.txt", "seen"), files());
  }

  @Test
  void fullBackupOnly_isTheAppsToPutInPlace_andNothingElseChanges() throws Exception {
    device.setRule(APP, "fullBackupOnly", true);
    ShellHook.add(
        device,
        APP,
        Map.of("onRestore", "mv .backup/restore/note.txt taken.txt; " + ShellHook.result("")));
    assertEquals(0, restore(MIRROR).code());
    assertEquals(Set.of("note.txt", "cache/picture", "new/note.txt", "taken.txt"), files());
    assertEquals("today's", Files.readString(sandbox.resolve("note.txt")));
    assertEquals("old", Files.readString(sandbox.resolve("taken.txt")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"note.txt", "."})
  void whatMayNotBeChanged_isNamed_andTheOldDataStay(String path) throws Exception {
    String immutable = sandbox.resolve(path).toString();
    Tool.need("chattr");
    assumeTrue(Device.isRoot(), "only root can make a file immutable");
    Files.writeString(sandbox.resolve("a first step"), "today's");
    assumeTrue(
        Tool.run(List.of("chattr", "+i", immutable)).status() == 0,
        "the file system has no immutable files");
    try {
      Note end = restore(MIRROR);
      assertEquals(ErrorCode.NOT_PERMITTED.code(), end.code());
      String named = path.equals(".") ? ".backup" : path;
      assertTrue(end.message().contains(named), end.message());
      assertTrue(end.message().contains("EPERM"), end.message());
    } finally {
      Tool.succeed("chattr", "-i", immutable);
    }
    assertEquals("today's", Files.readString(sandbox.resolve("note.txt")));
    assertEquals(Set.of("note.txt", "cache/picture", "new/note.txt", "a first step"), files());
    assertEquals(0, restore(MIRROR).code());
    assertEquals(Set.of("note.txt", "cache/picture"), files());
  }

  @Test
  void aProgramThatRuns_isReplaced_andRunsOn() throws Exception {
    Path program = sandbox.resolve("note.txt");
    Tool.need("sleep");
    Files.copy(Path.of("/bin/sleep"), program, StandardCopyOption.REPLACE_EXISTING);
    Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwxr-xr-x"));
    Process running = new ProcessBuilder(program.toString(), "600").start();
    try {
      assertEquals(0, restore("{}").code());
      assertEquals("old", Files.readString(program));
      assertTrue(running.isAlive());
    } finally {
      running.destroyForcibly().waitFor();
    }
  }

  /** In a directory that a mirror removes, and in one whose place a file takes. */
  @ParameterizedTest
  @ValueSource(strings = {"unlisted/mounted", "note.txt/mounted"})
  void whatIsMountedInTheSandbox_isNamed_andAllStays(String place) throws Exception {
    Tool.need("mount", "umount");
    assumeTrue(Device.isRoot(), "only root can mount a file system");
    Path outside = Files.createDirectory(directory.resolve("outside"));
    Files.writeString(outside.resolve("kept"), "not the app's");
    Files.deleteIfExists(sandbox.resolve(place).getParent());
    Files.createDirectories(sandbox.resolve(place));
    Tool.succeed("mount", "--bind", outside.toString(), sandbox.resolve(place).toString());
    try {
      Note end = restore(MIRROR);
      assertEquals(ErrorCode.NOT_PERMITTED.code(), end.code(), end.message());
      assertTrue(end.message().contains("'" + place + "'"), end.message());
      assertEquals("not the app's", Files.readString(outside.resolve("kept")));
      assertEquals("not in the backup", Files.readString(sandbox.resolve("new/note.txt")));
    } finally {
      Tool.succeed("umount", sandbox.resolve(place).toString());
    }
    assertEquals(0, restore(MIRROR).code());
    assertEquals("not the app's", Files.readString(outside.resolve("kept")));
  }

  @Test
  void whenTheServiceIsKilledDuringOnRestore_theNextOneAsksAgainAndEndsIt() throws Exception {
    killDuringOnRestore();
    endByTheNextService();
    assertEnded();
  }

  @Test
  void whenTheServiceIsKilledDuringOnRestore_theCommandEndsIt() throws Exception {
    killDuringOnRestore();
    Process recovery =
        new ProcessBuilder(
                NativeLibrary.backupd().toString(), "--recover", "--root", device.root().toString())
            .redirectErrorStream(true)
            .start();
    String said = new String(recovery.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals("backupd: '" + APP + "': an interrupted restore was completed\n", said);
    assertEquals(0, recovery.waitFor());
    assertEnded();
  }

  @Test
  void whenTheServiceIsKilledDuringOnRestore_theNextSessionSeesTheEnd() throws Exception {
    killDuringOnRestore();
    Files.delete(device.root().resolve("var/lib/backupkit/restores").resolve(APP));
    Journal journal = new Journal(Files.createDirectory(directory.resolve("second")));
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, journal)) {
      session.appendBundles(List.of(APP)).get();
      assertEquals(0, journal.await(Kind.END, APP).code());
    }
    assertEnded();
  }

  /** What the restore that was killed has said counts, not what the session after it says. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void whenTheServiceIsKilledDuringOnRestore_whatIsForTheAppGoesOrStaysAllTheSame(boolean clears)
      throws Exception {
    device.setRule(APP, "fullBackupOnly", true);
    Path forTheApp = sandbox.resolve(".backup/restore/note.txt");
    killDuringOnRestore("{\"clearBackupData\": " + clears + "}");
    assertEquals("old", Files.readString(forTheApp));
    endByTheNextService();
    assertEquals(clears, !Files.exists(forTheApp));
    assertEquals("today's", Files.readString(sandbox.resolve("note.txt")));
    assertFalse(Files.exists(sandbox.resolve(".backup/transaction")));
  }

  private void killDuringOnRestore() throws Exception {
    killDuringOnRestore("{}");
  }

  /** With the new data in place, and an app that accepts them when it is asked again. */
  private void killDuringOnRestore(String infos) throws Exception {
    Path signs = Files.createDirectory(directory.resolve("signs"));
    Path fifo = signs.resolve("fifo");
    Path asked = signs.resolve("asked");
    Tool.succeed("mkfifo", fifo.toString());
    ShellHook.add(
        device,
        APP,
        Map.of(
            "onRestore",
            "if [ -e '%s' ]; then %s; else touch '%s'; echo $$ >'%s'; while read -r m; do :; done; fi"
                .formatted(asked, ShellHook.result(""), asked, fifo)));
    device.letHook(APP, "writes", signs);
    Restoring restoring = new Restoring(store.resolve(APP), APP);
    try (ServiceProcess process = ServiceProcess.start(device.root(), socket());
        BackupService service = process.connect();
        SessionRestore session = new SessionRestore(service, restoring);
        FileData capabilities = service.getLocalCapabilities().get()) {
      restoring.run(session, capabilities.fd(), List.of(infos));
      long hook = Long.parseLong(Files.readString(fifo).strip());
      ProcessHandle extension = Extensions.of(service, sandbox);
      process.signal("KILL");
      for (ProcessHandle left : List.of(extension, ProcessHandle.of(hook).orElseThrow())) {
        left.onExit().orTimeout(10, TimeUnit.SECONDS).join();
      }
    }
    assertTrue(Files.exists(sandbox.resolve(".backup/transaction/journal")));
  }

  private void endByTheNextService() throws Exception {
    try (ServiceProcess next = ServiceProcess.start(device.root(), socket())) {
      assertEquals("backupd: '" + APP + "': an interrupted restore was completed", next.nextLine());
    }
  }

  private void assertEnded() throws IOException {
    assertEquals(Set.of("note.txt", "cache/picture", "new/note.txt"), files());
    assertEquals("old", Files.readString(sandbox.resolve("note.txt")));
    assertFalse(Files.exists(sandbox.resolve(".backup")));
  }

  private Path socket() {
    return directory.resolve("service.sock");
  }

  /** How a restore of the backup ends. */
  private Note restore(String infos) throws Exception {
    Restoring restoring = new Restoring(store.resolve(APP), APP);
    try (BackupService service = BackupService.embedded(device.root());
        SessionRestore session = new SessionRestore(service, restoring);
        FileData capabilities = service.getLocalCapabilities().get()) {
      restoring.run(session, capabilities.fd(), List.of(infos));
      Note end = restoring.await(Kind.END, APP);
      boolean isLocked = end.code() == ErrorCode.NOT_PERMITTED.code();
      assertTrue(isLocked || !Files.exists(sandbox.resolve(".backup")));
      return end;
    }
  }

  private Set<String> files() throws IOException {
    try (var paths = Files.walk(sandbox)) {
      return paths
          .filter(Files::isRegularFile)
          .map(path -> sandbox.relativize(path).toString())
          .collect(Collectors.toCollection(TreeSet::new));
    }
  }
}
