package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** An app that stands still while it is backed up. A directory stands in for most cgroups. */
@Timeout(60)
class FreezeTest {
  private static final String APP = "com.example.app";
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path directory;
  private Device device;
  private Path sandbox;
  private Path cgroup;

  @BeforeEach
  void makeADevice() throws IOException {
    Device.openToAll(directory);
    device = new Device(directory.resolve("device"));
    // A file that is passed has to come back before the extension has done with the data.
    device.configure("{\"packingLimit\": 2}");
    sandbox = device.addBundle(APP);
    Files.writeString(sandbox.resolve("note.txt"), "note");
    cgroup = Files.createDirectory(device.root().resolve("group"));
    Files.writeString(cgroup.resolve("cgroup.freeze"), "0\n");
    Files.writeString(cgroup.resolve("cgroup.events"), "populated 1\nfrozen 1\n");
    set("group", 600_000);
  }

  @Test
  void itIsFrozenFromTheFirstLookToTheLastFile_butNotInOnBackup() throws Exception {
    String answer = "answer \"\\\"result\\\":\\\"$(cat '" + cgroup + "/cgroup.freeze')\\\"\"";
    ShellHook.add(device, APP, Map.of("onBackup", answer));
    device.letHook(APP, "reads", cgroup);
    Watching watching = new Watching(cgroup);
    assertEquals(0, backUp(watching).code());
    assertEquals("0", watching.of(Kind.REPORT, APP).get(0).text());
    assertEquals("1", watching.states.get(0));
    assertEquals("0", watching.states.get(watching.states.size() - 1), "manage.json comes after");
    assertFalse(isFrozen());
    assertEquals(List.of(), notes());
  }

  @Test
  void anAppWithoutACgroup_doesNotRunAndIsBackedUp() throws Exception {
    set("nowhere", 600_000);
    assertEquals(0, backUp(new Journal()).code());
  }

  @Test
  void whatCannotBeFrozen_endsTheBundle() throws Exception {
    Files.delete(cgroup.resolve("cgroup.freeze"));
    Note end = backUp(new Journal());
    assertEquals(ErrorCode.INVALID_ARGUMENT.code(), end.code());
    assertTrue(end.message().contains("group/cgroup.freeze"), end.message());
  }

  @Test
  void oneThatDoesNotComeToStand_isThawedAtItsLimitAndBackedUp() throws Exception {
    Files.writeString(cgroup.resolve("cgroup.events"), "populated 1\nfrozen 0\n");
    set("group", 100);
    Watching watching = new Watching(cgroup);
    assertEquals(0, backUp(watching).code());
    assertEquals(Set.of("0"), Set.copyOf(watching.states));
  }

  @Test
  void itIsThawedAtItsLimit_whileAFileIsHeld() throws Exception {
    set("group", 500);
    assertEquals(0, endWhenThawedBy(service -> {}));
  }

  @Test
  void itIsThawed_whenTheExtensionDies() throws Exception {
    int code = endWhenThawedBy(service -> kill(Extensions.of(service, sandbox)));
    assertEquals(ErrorCode.EXTENSION_DIED.code(), code);
  }

  @Test
  void itIsThawed_whenItsWatcherDies() throws Exception {
    assertEquals(0, endWhenThawedBy(service -> kill(watcher(service.servicePid()))));
  }

  @Test
  void itIsThawed_whenTheServiceDies() throws Exception {
    whenThawedBy(
        service -> kill(ProcessHandle.of(service.servicePid()).orElseThrow()), Kind.DIED, "");
  }

  private interface Deed {
    void run(BackupService service) throws Exception;
  }

  private int endWhenThawedBy(Deed deed) throws Exception {
    return whenThawedBy(deed, Kind.END, APP).code();
  }

  /** What is told at last of a bundle that was frozen before and is thawed after a deed. */
  private Note whenThawedBy(Deed deed, Kind kind, String bundle) throws Exception {
    Holding holding = new Holding();
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, holding)) {
      session.appendBundles(List.of(APP)).get();
      holding.held.await();
      deed.run(service);
      awaitThawed();
      holding.goOn.countDown();
      return holding.await(kind, bundle);
    }
  }

  private void kill(ProcessHandle process) throws IOException {
    assertTrue(isFrozen());
    assertTrue(process.destroyForcibly());
  }

  @Test
  void itIsThawedByTheNextService_whenTheServiceAndTheWatcherDie() throws Exception {
    Holding holding = new Holding();
    try (BackupService service = BackupService.embedded(device.root())) {
      SessionBackup session = new SessionBackup(service, holding);
      session.appendBundles(List.of(APP)).get();
      holding.held.await();
      long pid = service.servicePid();
      // Stopped, neither sees the other's end.
      Tool.succeed("sh", "-c", "kill -STOP " + watcher(pid).pid() + " " + pid);
      Tool.succeed("sh", "-c", "kill -KILL " + watcher(pid).pid() + " " + pid);
      holding.goOn.countDown();
      session.close();
    }
    assertTrue(isFrozen());
    assertEquals(List.of(APP), notes());
    BackupService.embedded(device.root()).close();
    assertFalse(isFrozen());
    assertEquals(List.of(), notes());
  }

  @Test
  void aProcessInACgroup_standsStillAndGoesOn() throws Exception {
    Path group = makeCgroup();
    Process app = null;
    try {
      String write = "echo $$ >'" + group + "/cgroup.procs'; while :; do echo x >>lines; done";
      app = new ProcessBuilder("sh", "-c", write).directory(sandbox.toFile()).start();
      Path lines = sandbox.resolve("lines");
      awaitMore(lines, 0);
      set(group.toString(), 600_000);
      Holding holding = new Holding();
      try (BackupService service = BackupService.embedded(device.root());
          SessionBackup session = new SessionBackup(service, holding)) {
        session.appendBundles(List.of(APP)).get();
        holding.held.await();
        assertTrue(Files.readString(group.resolve("cgroup.events")).contains("frozen 1"));
        long still = Files.size(lines);
        holding.goOn.countDown();
        assertEquals(0, holding.await(Kind.END, APP).code(), holding.notes().toString());
        awaitMore(lines, still);
      }
      assertEquals("0", Files.readString(group.resolve("cgroup.freeze")).strip());
    } finally {
      if (app != null) {
        app.destroyForcibly().waitFor();
      }
      while (Files.exists(group)) { // the kernel is not done at once with a process that ended
        Tool.run(List.of("rmdir", group.toString()));
      }
    }
  }

  /** Skips where there is no cgroup v2 in which one may be made. */
  private static Path makeCgroup() throws Exception {
    Optional<String> mount =
        Files.readAllLines(Path.of("/proc/self/mounts")).stream()
            .map(line -> line.split(" "))
            .filter(fields -> fields[2].equals("cgroup2"))
            .map(fields -> fields[1])
            .findFirst();
    assumeTrue(mount.isPresent(), "no cgroup v2 is mounted");
    Path group = Path.of(mount.orElseThrow(), "backupkit-test-" + ProcessHandle.current().pid());
    assumeTrue(Tool.run(List.of("mkdir", group.toString())).status() == 0, "no cgroup may be made");
    if (!Files.exists(group.resolve("cgroup.freeze"))) {
      Files.delete(group);
      assumeTrue(false, "this kernel's cgroups cannot be frozen");
    }
    return group;
  }

  private static void awaitMore(Path file, long size) throws IOException {
    while (!Files.exists(file) || Files.size(file) <= size) {
      Thread.onSpinWait();
    }
  }

  private void awaitThawed() throws IOException {
    while (isFrozen()) {
      Thread.onSpinWait();
    }
  }

  private boolean isFrozen() throws IOException {
    return state(cgroup).equals("1");
  }

  private static String state(Path cgroup) throws IOException {
    return Files.readString(cgroup.resolve("cgroup.freeze")).strip();
  }

  private List<String> notes() throws IOException {
    try (var notes = Files.list(device.root().resolve("var/lib/backupkit/frozen"))) {
      return notes.map(note -> note.getFileName().toString()).toList();
    }
  }

  private static ProcessHandle watcher(long service) {
    return ProcessHandle.of(service)
        .orElseThrow()
        .children()
        .filter(FreezeTest::isWatcher)
        .findFirst()
        .orElseThrow();
  }

  private static boolean isWatcher(ProcessHandle process) {
    try {
      return Files.readString(Path.of("/proc/" + process.pid() + "/cmdline")).contains("--freeze");
    } catch (IOException e) {
      return false;
    }
  }

  private void set(String path, int limit) throws IOException {
    Path file = device.bundleFile(APP);
    ObjectNode bundle = (ObjectNode) JSON.readTree(file.toFile());
    JSON.writeValue(file.toFile(), bundle.put("freeze", path).put("freezeLimit", limit));
  }

  private Note backUp(Journal journal) throws Exception {
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, journal)) {
      session.appendBundles(List.of(APP)).get();
      return journal.await(Kind.END, APP);
    }
  }

  /** Notes for each file how the app is. */
  private static final class Watching extends Journal {
    final List<String> states = new ArrayList<>();
    private final Path cgroup;

    Watching(Path cgroup) {
      this.cgroup = cgroup;
    }

    @Override
    public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
      try {
        states.add(state(cgroup));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      super.onFileReady(error, file);
    }
  }
}
