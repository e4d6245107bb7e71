package org.backupkit;

import static org.backupkit.ShellHook.result;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Apps' own programs through the real service. */
@Timeout(120)
class AppHookTest {
  private static final String APP = "com.example.app";
  private static final String BESIDE = "com.example.beside";
  private static final ObjectMapper JSON = new ObjectMapper();
  // Answers nothing, and ends with its input.
  private static final String WAIT_FOR_THE_END = "while read -r more; do :; done";

  @TempDir Path directory;
  private Device device;
  private Path sandbox;

  @BeforeEach
  void makeADevice() throws IOException {
    Device.openToAll(directory);
    device = new Device(directory.resolve("device"));
    sandbox = device.addBundle(APP);
    Files.writeString(sandbox.resolve("note.txt"), "note");
    Files.writeString(device.addBundle(BESIDE).resolve("note.txt"), "another");
  }

  @Test
  void getBackupInfo_givesTheAppsText() throws Exception {
    ShellHook.add(device, APP, Map.of("getBackupInfo", result("seven notes")));
    try (BackupService service = BackupService.embedded(device.root())) {
      assertEquals("seven notes", service.getBackupInfo(APP));
    }
  }

  @Test
  void getBackupInfo_isEmptyWithoutAProgramOrWithoutTheCall() throws Exception {
    ShellHook hook = ShellHook.add(device, APP, Map.of("onBackup", result("")));
    try (BackupService service = BackupService.embedded(device.root())) {
      assertEquals("", service.getBackupInfo(BESIDE));
      assertEquals("", service.getBackupInfo(APP));
    }
    assertEquals(List.of(), hook.requests());
  }

  @Test
  void getBackupInfo_failsWithTheRightCode() throws Exception {
    ShellHook.add(device, APP, Map.of("getBackupInfo", "answer '\"error\":\"no shelf\"'"));
    try (BackupService service = BackupService.embedded(device.root())) {
      BackupException threw = assertThrows(BackupException.class, () -> service.getBackupInfo(APP));
      assertSame(ErrorCode.EXTENSION_THREW, threw.error());
      assertTrue(threw.getMessage().contains("no shelf"), threw.getMessage());
      BackupException unknown =
          assertThrows(BackupException.class, () -> service.getBackupInfo("com.example.unknown"));
      assertSame(ErrorCode.INVALID_ARGUMENT, unknown.error());
    }
  }

  @Test
  void getBackupInfo_thatHangsIsKilledWithAllThatItStarted() throws Exception {
    Path pid = directory.resolve("pid");
    Files.createFile(pid);
    Files.setPosixFilePermissions(pid, PosixFilePermissions.fromString("rw-rw-rw-"));
    ShellHook.add(
        device, APP, Map.of("getBackupInfo", "sleep 600 & echo $$ $! >'" + pid + "'; wait"));
    device.letHook(APP, "writes", pid);
    try (BackupService service = BackupService.embedded(device.root())) {
      BackupException late = assertThrows(BackupException.class, () -> service.getBackupInfo(APP));
      assertSame(ErrorCode.TIMED_OUT, late.error());
      for (String number : Files.readString(pid).strip().split(" ")) {
        ProcessHandle.of(Long.parseLong(number)).ifPresent(AppHookTest::assertEnds);
      }
    }
  }

  @Test
  void aProgramIsKilledWhenNobodyWaitsForItsAnswerAnyMore() throws Exception {
    Path fifo = directory.resolve("fifo");
    Tool.succeed("mkfifo", fifo.toString());
    ShellHook.add(device, APP, Map.of("getBackupInfo", "echo $$ >'" + fifo + "'; sleep 600"));
    device.letHook(APP, "writes", fifo);
    try (ServiceProcess process =
        ServiceProcess.start(device.root(), directory.resolve("service.sock"))) {
      BackupService service = process.connect();
      var asked = CompletableFuture.supplyAsync(() -> codeOf(service));
      ProcessHandle hook =
          ProcessHandle.of(Long.parseLong(Files.readString(fifo).strip())).orElseThrow();
      service.close();
      // Its own time would be five seconds.
      hook.onExit().orTimeout(4, TimeUnit.SECONDS).join();
      assertEquals(ErrorCode.IPC.code(), asked.get());
    }
  }

  private static int codeOf(BackupService service) {
    try {
      service.getBackupInfo(APP);
      return 0;
    } catch (BackupException e) {
      return e.code();
    }
  }

  @Test
  void compatibility_isTheAppsAnswerAndEmptyWhenItIsLate() throws Exception {
    ShellHook.add(
        device,
        APP,
        Map.of(
            "getBackupCompatibilityInfo",
            "info=${line#*'\"info\":\"'}; info=${info%'\"}'}; answer '\"result\":\"'\"$info\"'\"'",
            "getRestoreCompatibilityInfo",
            WAIT_FOR_THE_END));
    try (BackupService service = BackupService.embedded(device.root())) {
      try (SessionBackup session = new SessionBackup(service, new Journal())) {
        assertEquals("version 3", session.getCompatibilityInfo(APP, "version 3").get());
        assertEquals("", session.getCompatibilityInfo(BESIDE, "x").get());
      }
      try (SessionRestore session = new SessionRestore(service, new Journal())) {
        assertEquals("", session.getCompatibilityInfo(APP, "x").get());
      }
    }
  }

  @Test
  void cleaningUpDoesNotStartTheProgram() throws Exception {
    ShellHook hook = ShellHook.add(device, APP, ": >started", Map.of());
    Files.createDirectories(sandbox.resolve(".backup/torso"));
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, new Journal())) {
      assertTrue(session.cleanBundleTempDir(APP).get());
    }
    assertFalse(Files.exists(sandbox.resolve(".backup/torso")));
    assertFalse(Files.exists(sandbox.resolve("started")));
    assertEquals(List.of(), hook.requests());
  }

  @Test
  void onBackupEx_getsTheInfoAndItsReportComesFirstAndVerbatim() throws Exception {
    String report = "{ \\\"mine\\\" :  1 }";
    ShellHook hook =
        ShellHook.add(
            device,
            APP,
            Map.of(
                "onBackupEx",
                "echo prepared >prepared.txt; " + result(report),
                "onBackup",
                result("never"),
                "onRelease",
                ""));
    Path store = Files.createDirectory(directory.resolve("store"));
    Journal journal = new Journal(store);
    String info =
        """
        {"infos": [{"type": "unicast", "bundleName": "%s",
                    "details": [{"type": "greeting", "text": "say \\"hello\\""}]}]}
        """
            .formatted(APP);
    backUp(journal, List.of(APP, BESIDE), List.of(info, "{}"));

    assertEquals(0, journal.await(Kind.END, APP).code());
    assertEquals(0, journal.await(Kind.END, BESIDE).code());
    List<Note> reports = journal.of(Kind.REPORT, APP);
    assertEquals(2, reports.size(), reports.toString());
    assertEquals("{ \"mine\" :  1 }", reports.get(0).text());
    assertEquals("CountInfo", typeOf(reports.get(1)));
    assertEquals(List.of("onBackupEx", "onRelease"), hook.calls());
    JsonNode request = JSON.readTree(hook.requests().get(0));
    assertEquals(
        "[{\"type\":\"greeting\",\"text\":\"say \\\"hello\\\"\"}]",
        request.path("info").textValue());
    // What it prepared is in the backup: it was made before the walk.
    assertTrue(
        Tool.succeed("tar", "-tf", store.resolve(APP).resolve("part.0.tar").toString())
            .contains("prepared.txt"));
  }

  @Test
  void onBackup_followsAnEmptyAnswerAndGetsNoInfo() throws Exception {
    ShellHook hook =
        ShellHook.add(
            device, APP, Map.of("onBackupEx", result(""), "onBackup", result("plain report")));
    Journal journal = new Journal();
    backUp(journal, List.of(APP), List.of("{}"));
    assertEquals(0, journal.await(Kind.END, APP).code());
    assertEquals("plain report", journal.of(Kind.REPORT, APP).get(0).text());
    assertEquals(
        List.of(
            "{\"id\":1,\"call\":\"onBackupEx\",\"info\":\"\"}", "{\"id\":2,\"call\":\"onBackup\"}"),
        hook.requests());
  }

  @Test
  void onRestore_getsTheVersionOfTheCapabilityFileAfterTheDataIsInPlace() throws Exception {
    Path store = Files.createDirectory(directory.resolve("store"));
    backUp(new Journal(store), List.of(APP), List.of("{}"));
    Files.writeString(sandbox.resolve("note.txt"), "changed");
    ShellHook hook =
        ShellHook.add(
            device,
            APP,
            Map.of(
                "onRestoreEx",
                result(""),
                "onRestore",
                "answer \"\\\"result\\\":\\\"has $(cat note.txt)\\\"\"",
                "onRelease",
                ""));
    Path capabilities =
        Files.writeString(
            directory.resolve("capabilities"),
            """
            {"bundleInfos": [{"name": "%s", "versionCode": 41, "versionName": "4.1"}]}
            """
                .formatted(APP));
    Restoring restoring = new Restoring(store.resolve(APP), APP);
    try (BackupService service = BackupService.embedded(device.root());
        SessionRestore session = new SessionRestore(service, restoring);
        Fd fd = Fd.open(capabilities)) {
      restoring.run(session, fd, List.of("{}"));
      restoring.awaitAll();
    }
    assertEquals(0, restoring.await(Kind.END, APP).code());
    assertEquals("has note", restoring.of(Kind.REPORT, APP).get(0).text());
    assertEquals(
        List.of(
            "{\"id\":1,\"call\":\"onRestoreEx\",\"version\":{\"code\":41,\"name\":\"4.1\"},"
                + "\"info\":\"\"}",
            "{\"id\":2,\"call\":\"onRestore\",\"version\":{\"code\":41,\"name\":\"4.1\"}}",
            "{\"id\":0,\"call\":\"onRelease\",\"scenario\":\"RESTORE\"}"),
        hook.requests());
  }

  static Stream<Arguments> failures() {
    String block = "head -c %d /dev/zero | tr '\\0' x";
    return Stream.of(
        Arguments.of("an error", "answer '\"error\":\"the shelf is locked\"'", "shelf is locked"),
        Arguments.of("no JSON", "echo garbage", "not a JSON object"),
        Arguments.of("no object", "echo 17", "not a JSON object"),
        Arguments.of("an answer to nothing", "echo '{\"id\":77,\"result\":\"\"}'", "no answer"),
        Arguments.of("no id", "echo '{\"result\":\"\"}'", "no answer"),
        Arguments.of("no text", "answer '\"result\":5'", "not a text"),
        Arguments.of("an exit", "exit 0", "ended"),
        Arguments.of("a crash", "kill -KILL $$", "ended"),
        Arguments.of(
            "a text that is too long",
            "printf '{\"id\":%s,\"result\":\"' \"$id\"; " + block.formatted(32769) + "; echo '\"}'",
            "32769"),
        Arguments.of(
            "an answer of 1 MiB",
            "printf '{\"id\":%s,\"result\":\"' \"$id\"; "
                + block.formatted(1 << 20)
                + "; echo '\"}'",
            "more than 262144 bytes"));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("failures")
  void aProgramThatFailsEndsItsBundleOnly(String what, String deed, String message)
      throws Exception {
    ShellHook.add(device, APP, Map.of("onBackup", deed));
    Journal journal = new Journal();
    backUp(journal, List.of(APP, BESIDE), List.of("{}", "{}"));
    Note end = journal.await(Kind.END, APP);
    assertEquals(ErrorCode.EXTENSION_THREW.code(), end.code(), end.toString());
    assertTrue(end.message().contains(message), end.message());
    List<Note> reports = journal.of(Kind.REPORT, APP);
    assertEquals(1, reports.size(), reports.toString());
    JsonNode info = JSON.readTree(reports.get(0).text()).path("resultInfo").path(0);
    assertEquals("ErrorInfo", info.path("type").asText());
    assertEquals("13500007", info.path("errorCode").asText());
    assertTrue(info.path("errorInfo").asText().contains(message), info.toString());
    assertEquals(List.of(), journal.of(Kind.FILE, APP));
    assertEquals(0, journal.await(Kind.END, BESIDE).code());
  }

  @Test
  void aResultOfTheGreatestLengthIsReported() throws Exception {
    ShellHook.add(
        device,
        APP,
        Map.of(
            "onBackup",
            "printf '{\"id\":%s,\"result\":\"' \"$id\"; head -c 32768 /dev/zero | tr '\\0' x;"
                + " echo '\"}'"));
    Journal journal = new Journal();
    backUp(journal, List.of(APP), List.of("{}"));
    assertEquals(0, journal.await(Kind.END, APP).code());
    assertEquals("x".repeat(32768), journal.of(Kind.REPORT, APP).get(0).text());
  }

  @Test
  void anInfoOfOneMebibyteArrivesWhole() throws Exception {
    int length = 1 << 20;
    ShellHook.add(device, APP, Map.of("onBackupEx", "answer \"\\\"result\\\":\\\"${#line}\\\"\""));
    String detail = "{\"type\":\"x\",\"text\":\"" + "y".repeat(length) + "\"}";
    Journal journal = new Journal();
    backUp(
        journal,
        List.of(APP),
        List.of("{\"infos\":[{\"type\":\"unicast\",\"details\":[" + detail + "]}]}"));
    assertEquals(0, journal.await(Kind.END, APP).code());
    // Each quote in it has a backslash on the line.
    String line = "{\"id\":1,\"call\":\"onBackupEx\",\"info\":\"\"}";
    int expected = line.length() + detail.length() + 2 + 8;
    assertEquals(String.valueOf(expected), journal.of(Kind.REPORT, APP).get(0).text());
  }

  @Test
  void theAppsProgressReachesTheClient() throws Exception {
    ShellHook hook =
        ShellHook.add(
            device,
            APP,
            Map.of(
                "onBackup",
                "asked=$id",
                "onProcess",
                result("half") + "; id=$asked; " + result("")));
    Journal journal = new Journal();
    backUp(journal, List.of(APP), List.of("{}"));
    assertEquals(0, journal.await(Kind.END, APP).code());
    List<Note> said =
        journal.of(Kind.PROCESS, APP).stream()
            .filter(note -> note.text().contains("half"))
            .toList();
    assertEquals(1, said.size(), journal.notes().toString());
    JsonNode process = JSON.readTree(said.get(0).text()).path("processResult");
    assertEquals("half", process.path("resultInfo").textValue());
    assertEquals(List.of("onBackup", "onProcess"), hook.calls());
  }

  @Test
  void aProgramThatIsMissingIsSaidAtTheBegin() throws Exception {
    device.setHook(APP, List.of("hooks/none"));
    Journal journal = new Journal();
    backUp(journal, List.of(APP, BESIDE), List.of("{}", "{}"));
    Note begin = journal.await(Kind.BEGIN, APP);
    assertEquals(ErrorCode.EXTENSION_START_FAILED.code(), begin.code());
    assertTrue(begin.message().contains("hooks/none"), begin.message());
    assertEquals(0, journal.await(Kind.END, BESIDE).code());
  }

  private void backUp(Journal journal, List<String> bundles, List<String> infos) throws Exception {
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, journal)) {
      session.appendBundles(bundles, infos).get();
      journal.awaitAll();
    }
  }

  private static String typeOf(Note report) throws IOException {
    return JSON.readTree(report.text()).path("resultInfo").path(0).path("type").asText();
  }

  private static void assertEnds(ProcessHandle process) {
    process.onExit().orTimeout(10, TimeUnit.SECONDS).join();
  }
}
