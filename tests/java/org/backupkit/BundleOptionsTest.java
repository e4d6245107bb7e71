package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a bundle's file and a caller's infos say beyond includes and excludes. */
@Timeout(60)
class BundleOptionsTest {
  private static final String APP = "com.example.app";
  private static final String KEEPS = "{\"clearBackupData\": false}";
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path directory;
  private Device device;
  private Path sandbox;
  private Path store;

  @BeforeEach
  void makeADevice() throws IOException {
    Device.openToAll(directory);
    device = new Device(directory.resolve("device"));
    sandbox = device.addBundle(APP);
    for (String file : List.of("notes/a.txt", "notes/draft.tmp", "pictures/b.txt", "other/c.txt")) {
      Files.createDirectories(sandbox.resolve(file).getParent());
      Files.writeString(sandbox.resolve(file), "old");
    }
    store = directory.resolve("store");
  }

  @Test
  void aScene_addsItsIncludesAndExcludes() throws Exception {
    device.setRule(APP, "includes", List.of("notes"));
    device.setRule(
        APP,
        "optionDir",
        List.of(
            Map.of(
                "sceneId", "clone", "includes", List.of("pictures"), "excludes", List.of("*.tmp")),
            Map.of("sceneId", "7", "includes", List.of("other"))));
    assertEquals(Set.of("notes/a.txt", "notes/draft.tmp"), backedUp("{}"));
    assertEquals(Set.of("notes/a.txt", "pictures/b.txt"), backedUp("{\"backupScene\": \"clone\"}"));
    assertEquals(
        Set.of("notes/a.txt", "notes/draft.tmp", "other/c.txt"), backedUp("{\"backupScene\": 7}"));
    assertEquals(Set.of("notes/a.txt", "notes/draft.tmp"), backedUp("{\"backupScene\": \"x\"}"));
  }

  @Test
  void aMirror_reachesAsFarAsTheScene() throws Exception {
    device.setRule(APP, "includes", List.of("notes"));
    device.setRule(
        APP, "optionDir", List.of(Map.of("sceneId", "clone", "includes", List.of("pictures"))));
    String scene = "\"backupScene\": \"clone\"";
    backedUp("{" + scene + "}");
    for (String file : List.of("notes/new", "pictures/new", "other/new")) {
      Files.writeString(sandbox.resolve(file), "new");
    }
    assertEquals(0, restore("1.0", "{" + scene + ", \"restoreMode\": \"mirror\"}").code());
    assertEquals(List.of(), found("notes/new", "pictures/new"));
    assertEquals(List.of("other/new"), found("other/new"));
  }

  @Test
  void withoutTar_everyFileIsHandedOutByItself() throws Exception {
    String info = "{\"isSupportWithoutTar\": true}";
    assertEquals(Set.of(), backedUp(info));
    Set<String> passed = new TreeSet<>();
    for (JsonNode item : JSON.readTree(store.resolve(APP).resolve("manage.json").toFile())) {
      if (item.get("isBigFile").booleanValue()) {
        passed.add(item.at("/information/path").asText());
      }
    }
    assertEquals(Set.of("notes/a.txt", "notes/draft.tmp", "other/c.txt", "pictures/b.txt"), passed);
    Files.writeString(sandbox.resolve("notes/a.txt"), "new");
    assertEquals(0, restore("1.0", info).code());
    assertEquals("old", Files.readString(sandbox.resolve("notes/a.txt")));
  }

  @Test
  void aWrongOptionDir_isNamedAtTheBegin() throws Exception {
    device.setRule(APP, "optionDir", List.of(Map.of("sceneId", 7)));
    Note begin = backUp("{}").await(Kind.BEGIN, APP);
    assertEquals(ErrorCode.NOT_ADDED.code(), begin.code());
    assertTrue(begin.message().contains("optionDir: sceneId is not a text"), begin.message());
  }

  @Test
  void delayTime_passesBetweenOnBackupAndTheFirstFile() throws Exception {
    ShellHook hook = ShellHook.add(device, APP, Map.of("onBackup", ShellHook.result("")));
    Journal journal = backUp("{\"delayTime\": 1}");
    assertEquals(0, journal.await(Kind.END, APP).code());
    assertEquals(List.of("onBackup"), hook.calls());
    long begin = journal.await(Kind.BEGIN, APP).time();
    assertTrue(journal.of(Kind.FILE, APP).get(0).time() - begin >= TimeUnit.SECONDS.toNanos(1));
  }

  @Test
  void aDelay_isSaidAndCanBeCancelled() throws Exception {
    Journal journal = new Journal();
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, journal)) {
      session.appendBundles(List.of(APP), List.of("{\"delayTime\": 1800}")).get();
      Note process = journal.await(Kind.PROCESS, APP);
      assertTrue(process.text().contains("\"delay\""), process.text());
      assertEquals(0, session.cancel(APP));
      assertEquals(ErrorCode.CANCELLED.code(), journal.await(Kind.END, APP).code());
      assertEquals(List.of(), journal.of(Kind.FILE, APP));
    }
  }

  /** The app of a foreign system's data finds them below .backup/restore. */
  @ParameterizedTest
  @CsvSource({
    "0.0.0.0-Other 9, '{\"code\":0,\"name\":\"0.0.0.0\"}'",
    "99.99.99.999-Other, '{\"code\":41,\"name\":\"99.99.99.999-Other\"}'",
    "99.99.99.995, '{\"code\":41,\"name\":\"99.99.99.995\"}'"
  })
  void theDataOfASpecialVersion_areTheAppsToPutInPlace(String version, String told)
      throws Exception {
    backedUp("{}");
    Files.writeString(sandbox.resolve("notes/a.txt"), "today's");
    ShellHook hook =
        ShellHook.add(
            device,
            APP,
            Map.of(
                "onRestore", "cp .backup/restore/notes/a.txt taken.txt; " + ShellHook.result("")));
    assertEquals(0, restore(version, "{}").code());
    assertEquals("today's", Files.readString(sandbox.resolve("notes/a.txt")));
    assertEquals("old", Files.readString(sandbox.resolve("taken.txt")));
    assertEquals(told, JSON.readTree(hook.requests().get(0)).get("version").toString());
  }

  @Test
  void anotherVersion_isRestoredAsUsual() throws Exception {
    backedUp("{}");
    Files.writeString(sandbox.resolve("notes/a.txt"), "today's");
    assertEquals(0, restore("0.0.0.1-0.0.0.0", "{}").code());
    assertEquals("old", Files.readString(sandbox.resolve("notes/a.txt")));
  }

  @Test
  void dataThatNobodyPutsInPlace_areAnError() throws Exception {
    backedUp("{}");
    device.setRule(APP, "fullBackupOnly", true);
    Note end = restore("1.0", "{}");
    assertEquals(ErrorCode.EXTENSION_THREW.code(), end.code());
    assertTrue(end.message().contains("onRestore"), end.message());
    assertEquals(List.of(), found(".backup"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"{}", "{\"clearBackupData\": \"true\"}", "{\"clearBackupData\": 0}"})
  void theBackupDirectory_isEmptyBeforeASessionAndGoneAfterIt(String info) throws Exception {
    String deed = "ls -A .backup >>seen.txt 2>&-; mkdir -p .backup/made; " + ShellHook.result("");
    ShellHook.add(device, APP, Map.of("onBackup", deed, "onRestore", deed));
    leaveInTheBackupDirectory();
    backedUp(info);
    assertEquals(List.of(), found(".backup"));
    leaveInTheBackupDirectory();
    assertEquals(0, restore("1.0", info).code());
    assertEquals(List.of(), found(".backup"));
    // In a restore it is not for the app alone.
    assertEquals("transaction\n", Files.readString(sandbox.resolve("seen.txt")));
  }

  @ParameterizedTest
  @ValueSource(strings = {KEEPS, "{\"clearBackupData\": \"false\"}"})
  void theBackupDirectory_canBeKept(String info) throws Exception {
    leaveInTheBackupDirectory();
    ShellHook.add(
        device,
        APP,
        Map.of(
            "onBackup",
            "mkdir .backup/by-backup; " + ShellHook.result(""),
            "onRestore",
            "mkdir .backup/by-restore; " + ShellHook.result("")));
    backedUp(info);
    assertEquals(0, restore("1.0", info).code());
    assertEquals(
        Set.of("left", "by-backup", "by-restore"),
        Set.of(sandbox.resolve(".backup").toFile().list()));
    backedUp("{}");
    assertEquals(List.of(), found(".backup"));
  }

  @Test
  void whatIsKeptForTheApp_needsNoOnRestore() throws Exception {
    device.setRule(APP, "fullBackupOnly", true);
    backedUp("{}");
    Files.writeString(sandbox.resolve("notes/a.txt"), "today's");
    assertEquals(0, restore("1.0", KEEPS).code());
    assertEquals("today's", Files.readString(sandbox.resolve("notes/a.txt")));
    assertEquals("old", Files.readString(sandbox.resolve(".backup/restore/notes/a.txt")));
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void whatIsKeptForTheApp_isMergedWithALaterRestore_orStaysAsItWasWhenThatFails(boolean fails)
      throws Exception {
    device.setRule(APP, "fullBackupOnly", true);
    backedUp("{}");
    assertEquals(0, restore("1.0", KEEPS).code());
    Files.writeString(sandbox.resolve("notes/a.txt"), "new");
    Files.writeString(sandbox.resolve("notes/b.txt"), "new");
    Files.delete(sandbox.resolve("other/c.txt"));
    backedUp(KEEPS);
    String answer = fails ? "answer '\"error\":\"no\"'" : ShellHook.result("");
    ShellHook.add(device, APP, Map.of("onRestore", "cp -r .backup/restore/notes seen; " + answer));
    int code = fails ? ErrorCode.EXTENSION_THREW.code() : 0;
    assertEquals(code, restore("1.0", KEEPS).code());
    assertEquals("new", Files.readString(sandbox.resolve("seen/b.txt")));
    String kept = Files.readString(sandbox.resolve(".backup/restore/notes/a.txt"));
    assertEquals(fails ? "old" : "new", kept);
    assertEquals(fails, found(".backup/restore/notes/b.txt").isEmpty());
    assertEquals("old", Files.readString(sandbox.resolve(".backup/restore/other/c.txt")));
  }

  @Test
  void theCapabilityFile_saysWhatTheBundleFileDoes() throws Exception {
    device.setRule(APP, "fullBackupOnly", true);
    device.setRule(APP, "requireCompatibility", true);
    device.setRule(APP, "restoreDeps", "com.example.b");
    device.setRule(APP, "supportScene", "clone");
    device.setRule(APP, "extraInfo", Map.of("shelf", List.of(1)));
    try (BackupService service = BackupService.embedded(device.root());
        FileData data = service.getLocalCapabilities().get()) {
      JsonNode info = JSON.readTree(data.fd().readAllBytes()).get("bundleInfos").get(0);
      assertTrue(info.get("fullBackupOnly").booleanValue());
      assertTrue(info.get("requireCompatibility").booleanValue());
      assertEquals("com.example.b", info.get("restoreDeps").textValue());
      assertEquals("clone", info.get("supportScene").textValue());
      assertEquals("{\"shelf\":[1]}", info.get("extraInfo").toString());
    }
  }

  private void leaveInTheBackupDirectory() throws IOException {
    Files.createDirectories(sandbox.resolve(".backup/left"));
    Files.writeString(sandbox.resolve(".backup/left/note"), "of an earlier session");
  }

  private Journal backUp(String info) throws Exception {
    Device.empty(Files.createDirectories(store));
    Journal journal = new Journal(store);
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, journal)) {
      session.appendBundles(List.of(APP), List.of(info)).get();
      journal.awaitAll();
    }
    return journal;
  }

  /** The files of a backup. */
  private Set<String> backedUp(String info) throws Exception {
    assertEquals(0, backUp(info).await(Kind.END, APP).code());
    Path part = store.resolve(APP).resolve("part.0.tar");
    Set<String> files = new TreeSet<>(Tool.succeed("tar", "-tf", part.toString()).lines().toList());
    files.removeIf(name -> name.endsWith("/"));
    return files;
  }

  private Note restore(String version, String info) throws Exception {
    Path capabilities =
        Files.writeString(
            directory.resolve("capabilities"),
            """
            {"bundleInfos": [{"name": "%s", "versionCode": 41, "versionName": "%s"}]}
            """
                .formatted(APP, version));
    Restoring restoring = new Restoring(store.resolve(APP), APP);
    try (BackupService service = BackupService.embedded(device.root());
        SessionRestore session = new SessionRestore(service, restoring);
        Fd fd = Fd.open(capabilities)) {
      restoring.run(session, fd, List.of(info));
      restoring.awaitAll();
    }
    return restoring.await(Kind.END, APP);
  }

  private List<String> found(String... files) {
    return List.of(files).stream().filter(file -> Files.exists(sandbox.resolve(file))).toList();
  }
}
