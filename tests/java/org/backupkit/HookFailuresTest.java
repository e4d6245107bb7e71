package org.backupkit;

import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.backupkit.ShellHook.result;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.backupkit.store.BundleResult;
import org.backupkit.store.Progress;
import org.backupkit.store.ProgressEvent;
import org.backupkit.store.SnapshotStore;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Each callback of an app, failing in each way, in one session with bundles that do not. */
@Timeout(60)
class HookFailuresTest {
  private static final String BESIDE = "com.example.beside";
  private static final String WORKING = "com.example.working";
  private static final int THREW = ErrorCode.EXTENSION_THREW.code();
  private static final int TIMED_OUT = ErrorCode.TIMED_OUT.code();
  private static final String HANGS = ": no answer";

  @TempDir Path directory;
  private Device device;

  @BeforeEach
  void makeADevice() throws IOException {
    Device.openToAll(directory);
    device = new Device(directory.resolve("device"));
    device.configure("{\"maxExtensions\": 8, \"idleLimit\": 2000}");
    add("beside", Map.of());
  }

  static Stream<Arguments> deeds() {
    String long1 =
        "printf '{\"id\":%s,\"result\":\"' \"$id\"; head -c 1048576 /dev/zero | tr '\\0' x;"
            + " echo '\"}'";
    return Stream.of(
        Arguments.of("throws", "answer '\"error\":\"the shelf is locked\"'", THREW),
        Arguments.of("exits", "exit 0", THREW),
        Arguments.of("answers garbage", "echo garbage", THREW),
        Arguments.of("answers 1 MiB", long1, THREW),
        Arguments.of("hangs", HANGS, TIMED_OUT));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("deeds")
  void inABackup(String what, String deed, int code) throws Exception {
    Map<String, Integer> expected = new TreeMap<>(Map.of(BESIDE, 0));
    expected.put(add("onbackup", Map.of("onBackup", deed)), code);
    expected.put(add("onbackupex", Map.of("onBackupEx", deed, "onBackup", result(""))), code);
    expected.put(add("onrelease", Map.of("onBackup", result(""), "onRelease", deed)), 0);
    assertEquals(expected, backUp(expected.keySet()));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("deeds")
  void inARestore(String what, String deed, int code) throws Exception {
    Map<String, Integer> expected = new TreeMap<>(Map.of(BESIDE, 0));
    expected.put(add("onrestore", Map.of()), code);
    expected.put(add("onrestoreex", Map.of()), code);
    expected.put(add("onrelease", Map.of()), 0);
    backUp(expected.keySet());
    for (String bundle : expected.keySet()) {
      Files.writeString(note(bundle), "today's");
    }
    hook("onrestore", Map.of("onRestore", deed));
    hook("onrestoreex", Map.of("onRestoreEx", deed, "onRestore", result("")));
    hook("onrelease", Map.of("onRestore", result(""), "onRelease", deed));
    try (BackupService service = BackupService.embedded(device.root())) {
      List<String> bundles = List.copyOf(expected.keySet());
      assertEquals(expected, codes(store().restore(service, bundles, event -> {}).bundles()));
    }
    for (Map.Entry<String, Integer> end : expected.entrySet()) {
      String data = end.getValue() == 0 ? "note" : "today's";
      assertEquals(data, Files.readString(note(end.getKey())), end.getKey());
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("deeds")
  void onProcessInABackup(String what, String deed, int code) throws Exception {
    add("working", Map.of("onBackup", ":", "onProcess", deed));
    holdBeside("onBackup");
    List<String> bundles = List.of(WORKING, BESIDE);
    SnapshotStore store = store();
    assertEquals(
        Map.of(WORKING, code, BESIDE, 0),
        codesWhenAsked((service, progress) -> store.backup(service, bundles, progress).bundles()));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("deeds")
  void onProcessInARestore(String what, String deed, int code) throws Exception {
    add("working", Map.of());
    List<String> bundles = List.of(WORKING, BESIDE);
    backUp(bundles);
    for (String bundle : bundles) {
      Files.writeString(note(bundle), "today's");
    }
    hook("working", Map.of("onRestore", ":", "onProcess", deed));
    holdBeside("onRestore");
    SnapshotStore store = store();
    assertEquals(
        Map.of(WORKING, code, BESIDE, 0),
        codesWhenAsked((service, progress) -> store.restore(service, bundles, progress).bundles()));
    assertEquals("today's", Files.readString(note(WORKING)));
    assertEquals("note", Files.readString(note(BESIDE)));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("deeds")
  void whenAsked(String what, String deed, int code) throws Exception {
    String app =
        add(
            "asked",
            Map.of(
                "getBackupInfo", deed,
                "getBackupCompatibilityInfo", deed,
                "getRestoreCompatibilityInfo", deed));
    String fine = result("fine");
    hook(
        "beside",
        Map.of(
            "getBackupInfo", fine,
            "getBackupCompatibilityInfo", fine,
            "getRestoreCompatibilityInfo", fine));
    int late = deed.equals(HANGS) ? 0 : code; // an answer that is late counts as ""
    try (BackupService service = BackupService.embedded(device.root())) {
      var asked = CompletableFuture.supplyAsync(() -> code(() -> service.getBackupInfo(app)));
      assertEquals("fine", service.getBackupInfo(BESIDE));
      assertEquals(code, asked.get());
      try (SessionBackup session = new SessionBackup(service, new Journal())) {
        Future<String> failing = session.getCompatibilityInfo(app, "");
        assertEquals("fine", session.getCompatibilityInfo(BESIDE, "").get());
        assertEquals(late, code(failing));
      }
      try (SessionRestore session = new SessionRestore(service, new Journal())) {
        Future<String> failing = session.getCompatibilityInfo(app, "");
        assertEquals("fine", session.getCompatibilityInfo(BESIDE, "").get());
        assertEquals(late, code(failing));
      }
    }
  }

  @Test
  void theOrderOfTheCalls() throws Exception {
    Map<String, String> all =
        Map.of(
            "onBackupEx", result(""),
            "onBackup", result(""),
            "onRestoreEx", result(""),
            "onRestore", result(""),
            "onRelease", ":");
    String app = add("all", Map.of());
    ShellHook hook = ShellHook.add(device, app, all);
    assertEquals(Map.of(app, 0), backUp(List.of(app)));
    assertEquals(List.of("onBackupEx", "onBackup", "onRelease"), hook.calls());
    try (BackupService service = BackupService.embedded(device.root())) {
      assertTrue(store().restore(service, List.of(app), event -> {}).succeeded());
    }
    assertEquals(
        List.of("onRestoreEx", "onRestore", "onRelease"),
        hook.calls().subList(3, hook.calls().size()));
    assertTrue(hook.requests().get(5).contains("\"scenario\":\"RESTORE\""));
  }

  private interface Run {
    List<BundleResult> of(BackupService service, Progress progress) throws IOException;
  }

  /** Has the bundle beside work at a call until it is told in the gate that it may end. */
  private void holdBeside(String call) throws Exception {
    Tool.succeed("mkfifo", gate().toString());
    hook("beside", Map.of(call, "read -r go <'" + gate() + "'; " + result("")));
    device.letHook(BESIDE, "reads", gate());
  }

  /** What becomes of bundles of which one waits until the one that is at work has ended. */
  private Map<String, Integer> codesWhenAsked(Run run) throws Exception {
    device.configure("{}"); // no bundle ends because nothing comes of it
    Path socket = directory.resolve("service.sock");
    try (ServiceProcess process = ServiceProcess.startHasty(device.root(), socket);
        BackupService service = process.connect();
        FileChannel gate = FileChannel.open(gate(), READ, WRITE)) { // it waits for nobody
      Progress opening =
          event -> {
            if (event.kind() == ProgressEvent.Kind.END && event.bundle().equals(WORKING)) {
              open(gate);
            }
          };
      return codes(run.of(service, opening));
    }
  }

  private static void open(FileChannel gate) {
    try {
      gate.write(ByteBuffer.wrap("go\n".getBytes(StandardCharsets.US_ASCII)));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Path gate() {
    return directory.resolve("gate");
  }

  private String add(String name, Map<String, String> calls) throws IOException {
    String bundle = "com.example." + name;
    Files.writeString(device.addBundle(bundle).resolve("note.txt"), "note");
    if (!calls.isEmpty()) {
      hook(name, calls);
    }
    return bundle;
  }

  private void hook(String name, Map<String, String> calls) throws IOException {
    ShellHook.add(device, "com.example." + name, calls);
  }

  private Path note(String bundle) {
    return device.sandbox(bundle).resolve("note.txt");
  }

  private SnapshotStore store() throws IOException {
    return SnapshotStore.open(directory.resolve("store"));
  }

  private Map<String, Integer> backUp(Collection<String> names) throws IOException {
    List<String> bundles = List.copyOf(names);
    try (BackupService service = BackupService.embedded(device.root())) {
      return codes(store().backup(service, bundles, event -> {}).bundles());
    }
  }

  private static Map<String, Integer> codes(List<BundleResult> results) {
    Map<String, Integer> codes = new TreeMap<>();
    results.forEach(result -> codes.put(result.bundle(), result.code()));
    return codes;
  }

  private interface Call {
    void call() throws BackupException;
  }

  private static int code(Call call) {
    try {
      call.call();
      return 0;
    } catch (BackupException e) {
      return e.code();
    }
  }

  private static int code(Future<?> future) throws InterruptedException {
    try {
      future.get();
      return 0;
    } catch (ExecutionException e) {
      return ((BackupException) e.getCause()).code();
    }
  }
}
