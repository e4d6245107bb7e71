package org.backupkit.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.Fd;
import org.backupkit.FileData;
import org.backupkit.FileMeta;
import org.backupkit.IncrementalBackupData;
import org.backupkit.IncrementalBackupSession;
import org.backupkit.IncrementalBackupTime;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.backupkit.SessionBackup;
import org.backupkit.SessionRestore;
import org.backupkit.ShellHook;
import org.junit.jupiter.api.Test;

/** Each function, overload, callback and type of the interface, used as the interface shows it. */
class InterfaceTest extends OnDevice {
  // As the interface prints it.
  private static final String CAPABILITIES =
      """
       {
        "bundleInfos" :[{
          "allToBackup" : true,
          "extensionName" : "BackupExtensionAbility",
          "name" : "com.example.hiworld",
          "needToInstall" : false,
          "spaceOccupied" : 0,
          "versionCode" : 1000000,
          "versionName" : "1.0.0"
          }],
        "deviceType" : "default",
        "systemFullName" : "OpenHarmony-4.0.0.0"
       }
      """;

  // Types

  @Test
  void fileData_ownsAnOpenDescriptorUntilItIsClosed() throws Exception {
    try (BackupService service = embedded()) {
      FileData data = service.getLocalCapabilities().get();
      Path descriptor = Path.of("/proc/self/fd/" + data.fd().number());
      String target = Files.readSymbolicLink(descriptor).toString();
      assertTrue(target.startsWith("/memfd:"), target);
      assertEquals(Files.size(descriptor), data.fd().size());
      data.close();
      assertFalse(data.fd().isOpen());
      assertThrows(IllegalStateException.class, () -> data.fd().number());
    }
  }

  @Test
  void file_hasItsBundleItsUriAndItsDescriptors() throws Exception {
    Map<String, byte[]> manifests = new ConcurrentHashMap<>();
    Events events =
        new Events()
            .receive(
                file -> {
                  assertEquals(HIWORLD, file.bundleName());
                  assertTrue(file.uri().matches("[0-9A-Za-z_.]+"), file.uri());
                  assertTrue(file.fd().size() > 0, file.uri());
                  manifests.put(file.uri(), file.manifestFd().readAllBytes());
                });
    try (BackupService service = embedded()) {
      try (IncrementalBackupSession session = new IncrementalBackupSession(service, events)) {
        session.appendBundles(List.of(IncrementalBackupData.builder(HIWORLD).build())).get();
        assertEquals(0, events.await(Kind.END, HIWORLD).code());
      }
      // A file of a full backup has no manifest, one to be restored has.
      try (SessionBackup session =
          new SessionBackup(
              service, events.receive(file -> assertNull(file.manifestFd(), file.uri())))) {
        session.appendBundles(List.of(HIWORLD)).get();
        assertEquals(0, events.await(Kind.END, HIWORLD, 2).code());
      }
      try (SessionRestore session =
          new SessionRestore(
              service, events.receive(file -> assertNotNull(file.manifestFd(), file.uri())))) {
        append(service, session, List.of(HIWORLD));
        int before = events.all(Kind.FILE).size();
        session.getFileHandle(new FileMeta(HIWORLD, "test.txt")).get();
        assertEquals("test.txt", events.await(Kind.FILE, HIWORLD, before + 1).text());
      }
    }
    assertEquals(2, manifests.size(), manifests.keySet().toString());
    String complete = new String(manifests.get("manage.json"), StandardCharsets.UTF_8);
    assertTrue(complete.contains("note.txt;"), complete);
  }

  @Test
  void incrementalBackupTime_countsTheBundleAndWhatChangedSince() throws Exception {
    long later = Instant.now().getEpochSecond() + 3600;
    // Its content is of long ago, its time of change is now: it counts until then.
    Path old = Files.write(sandbox.resolve("old.bin"), Device.bytes(100));
    Files.setLastModifiedTime(old, FileTime.fromMillis(1));
    Path future = Files.write(sandbox.resolve("future.bin"), Device.bytes(1000));
    Files.setLastModifiedTime(future, FileTime.from(Instant.ofEpochSecond(later + 1)));
    try (BackupService service = embedded()) {
      assertEquals(1110, changed(service, 0));
      assertEquals(1110, changed(service, 1_700_107_870));
      assertEquals(1000, changed(service, later));
      assertEquals(0, changed(service, later + 2));
    }
  }

  @Test
  void backupParams_areOptionsOfTheBackup() throws Exception {
    Files.write(sandbox.resolve("big.bin"), Device.bytes(100));
    device.configure("{\"packingLimit\": 99}");
    try (BackupService service = embedded()) {
      assertFalse(hashOfBig(service, "").isEmpty());
      assertFalse(hashOfBig(service, "{\"unknown\": 1}").isEmpty());
      assertEquals("", hashOfBig(service, "{\"integrity\": \"none\" /* of big files */}"));
    }
  }

  @Test
  void backupPriority_theLargerGoesFirstAndEqualOnesInCallOrder() throws Exception {
    device.configure("{\"maxExtensions\": 1}");
    List<String> names = List.of(HIWORLD, "b", "c", "d", "e");
    int[] priorities = {0, 5, -1, 5, Integer.MAX_VALUE};
    List<IncrementalBackupData> bundles = new ArrayList<>();
    for (int i = 0; i < names.size(); ++i) {
      device.addBundle(names.get(i));
      IncrementalBackupData.Builder data = IncrementalBackupData.builder(names.get(i));
      // 0 is the default.
      bundles.add(priorities[i] == 0 ? data.build() : data.priority(priorities[i]).build());
    }
    Events events = new Events();
    try (BackupService service = embedded();
        IncrementalBackupSession session = new IncrementalBackupSession(service, events)) {
      session.appendBundles(bundles).get();
      events.awaitAll();
    }
    assertEquals(
        List.of("e", "b", "d", HIWORLD, "c"),
        events.all(Kind.BEGIN).stream().map(Note::bundle).toList());
  }

  @Test
  void incrementalBackupData_hasWhatItsFourTypesHave() throws Exception {
    try (Fd manifest = file("manifest", "")) {
      IncrementalBackupData data =
          IncrementalBackupData.builder(HIWORLD)
              .lastIncrementalTime(1_700_107_870)
              .manifestFd(manifest)
              .parameters("{}")
              .priority(7)
              .build();
      assertEquals(HIWORLD, data.bundleName());
      assertEquals(1_700_107_870, data.lastIncrementalTime());
      assertEquals(manifest, data.manifestFd());
      assertEquals("{}", data.parameters());
      assertEquals(7, data.priority());
    }
    IncrementalBackupData none = IncrementalBackupData.builder(HIWORLD).build();
    assertEquals(0, none.lastIncrementalTime());
    assertNull(none.manifestFd());
    assertEquals("", none.parameters());
    assertEquals(0, none.priority());
  }

  // Callbacks

  @Test
  void callbacks_tellTheNameOfTheBundleAndNoErrorWhenAllIsWell() throws Exception {
    device.addBundle(MY_APP);
    try (BackupService service = embedded()) {
      Events events = backUp(service, List.of(HIWORLD, MY_APP));
      for (Kind kind : List.of(Kind.BEGIN, Kind.END)) {
        assertEquals(
            List.of(HIWORLD, MY_APP),
            events.all(kind).stream().map(Note::bundle).sorted().toList());
      }
      assertEquals(1, events.all(Kind.ALL).size());
      assertEquals(Kind.ALL, events.notes().get(events.notes().size() - 1).kind());
    }
  }

  @Test
  void onFileReady_theFilesAreTheServicesAndNothingOfThemIsLeft() throws Exception {
    Map<String, String> before = tree(sandbox);
    try (BackupService service = embedded()) {
      Events events = backUp(service, List.of(HIWORLD));
      assertEquals(
          List.of("manage.json", "part.0.tar"), List.copyOf(events.files(HIWORLD).keySet()));
    }
    assertEquals(before, tree(sandbox));
  }

  @Test
  void onResultReport_isJsonWithTheNumbersAndComesBeforeTheEnd() throws Exception {
    try (BackupService service = embedded()) {
      Events events = backUp(service, List.of(HIWORLD));
      Note report = events.all(Kind.REPORT).get(0);
      assertEquals(HIWORLD, report.bundle());
      JsonNode info = json(report.text()).at("/resultInfo/0");
      assertEquals("CountInfo", info.path("type").asText());
      // The directory and its note.
      assertEquals(2, info.at("/infos/0/successCount").asInt(), report.text());
      assertEquals(0, info.at("/infos/0/failedCount").asInt(-1), report.text());
      List<Kind> kinds = events.notes().stream().map(Note::kind).toList();
      assertTrue(kinds.indexOf(Kind.REPORT) < kinds.indexOf(Kind.END), kinds.toString());
    }
  }

  @Test
  void onProcess_isJsonWithTheAppsProgress() throws Exception {
    ShellHook.add(
        device,
        HIWORLD,
        new TreeMap<>(
            Map.of(
                // Its answer comes when it was asked for its progress.
                "onBackup",
                "first=$id",
                "onProcess",
                ShellHook.result("half") + "\nid=$first\n" + ShellHook.result("done"))));
    try (BackupService service = embedded()) {
      Events events = backUp(service, List.of(HIWORLD));
      List<Note> told = events.all(Kind.PROCESS);
      assertTrue(
          told.stream().allMatch(process -> process.bundle().equals(HIWORLD)), told.toString());
      boolean half = false;
      for (Note process : told) {
        half |= json(process.text()).at("/processResult/resultInfo").asText().equals("half");
      }
      assertTrue(half, told.toString());
    }
  }

  // Sessions

  @Test
  void backup_byCallback() throws Exception {
    Events events = new Events();
    try (BackupService service = embedded();
        SessionBackup session = new SessionBackup(service, events)) {
      told(callback -> session.appendBundles(List.of(HIWORLD), callback)).get();
      assertEquals(0, events.awaitAll().code());
    }
    assertTrue(events.files(HIWORLD).containsKey("manage.json"));
  }

  @Test
  void restore_byCallbacks_withTheCapabilityFileThatTheInterfacePrints() throws Exception {
    try (BackupService service = embedded()) {
      Map<String, byte[]> files = backUp(service, List.of(HIWORLD)).files(HIWORLD);
      Files.writeString(sandbox.resolve("note.txt"), "changed");
      Events events = new Events();
      try (SessionRestore session = restoring(service, events, files)) {
        // Its position does not matter, and its owner may close it at once.
        Fd capabilities = file("capabilities", CAPABILITIES);
        try (var stream = capabilities.newInputStream()) {
          stream.skipNBytes(7);
        }
        var appended =
            told(callback -> session.appendBundles(capabilities, List.of(HIWORLD), callback));
        capabilities.close();
        appended.get();
        for (String uri : files.keySet()) {
          told(callback -> session.getFileHandle(new FileMeta(HIWORLD, uri), callback)).get();
        }
        events.await(Kind.FILE, HIWORLD, files.size());
        for (String uri : files.keySet()) {
          told(callback -> session.publishFile(new FileMeta(HIWORLD, uri), callback)).get();
        }
        told(callback -> session.publishFile(new FileMeta(HIWORLD, ""), callback)).get();
        assertEquals(0, events.await(Kind.END, HIWORLD).code());
      }
    }
    assertEquals("first note", Files.readString(sandbox.resolve("note.txt")));
  }

  @Test
  void restore_byPromises_withLocalCapabilities() throws Exception {
    try (BackupService service = embedded()) {
      Map<String, byte[]> files = backUp(service, List.of(HIWORLD)).files(HIWORLD);
      Files.delete(sandbox.resolve("note.txt"));
      Events events = new Events();
      try (SessionRestore session = restoring(service, events, files)) {
        append(service, session, List.of(HIWORLD));
        publishAll(session, events, HIWORLD, files);
        assertEquals(0, events.await(Kind.END, HIWORLD).code());
      }
    }
    assertEquals("first note", Files.readString(sandbox.resolve("note.txt")));
  }

  @Test
  void getFileHandle_mayBeCalledForManyFilesAndAgainForAFreshOne() throws Exception {
    Events events = new Events();
    try (BackupService service = embedded();
        SessionRestore session =
            new SessionRestore(
                service,
                events.receive(
                    file -> {
                      assertEquals(0, file.fd().size(), file.uri());
                      write(file.fd(), Device.bytes(10));
                    }))) {
      append(service, session, List.of(HIWORLD));
      for (int i = 0; i < 123; ++i) {
        session.getFileHandle(new FileMeta(HIWORLD, "file." + i)).get();
      }
      session.getFileHandle(new FileMeta(HIWORLD, "file.0")).get();
      assertEquals("file.0", events.await(Kind.FILE, HIWORLD, 124).text());
    }
  }

  @Test
  void release_endsEachKindOfSessionAndWhatFollowsItIsRefused() throws Exception {
    List<IncrementalBackupData> data = List.of(IncrementalBackupData.builder(HIWORLD).build());
    try (BackupService service = embedded()) {
      SessionBackup backup = new SessionBackup(service, silent());
      backup.release().get();
      assertEquals(NOT_PERMITTED, codeOf(() -> backup.appendBundles(List.of(HIWORLD))));
      SessionRestore restore = new SessionRestore(service, silent());
      restore.release().get();
      FileMeta file = new FileMeta(HIWORLD, "test.txt");
      assertEquals(NOT_PERMITTED, codeOf(() -> restore.getFileHandle(file)));
      assertEquals(NOT_PERMITTED, codeOf(() -> restore.publishFile(file)));
      IncrementalBackupSession incremental = new IncrementalBackupSession(service, silent());
      incremental.release().get();
      assertEquals(NOT_PERMITTED, codeOf(() -> incremental.appendBundles(data)));
      // A second one does nothing.
      backup.release().get();
      restore.release().get();
      incremental.release().get();
    }
  }

  @Test
  void release_isTheEndOfAPrivateServiceThatItsOwnerCloses() throws Exception {
    BackupService service = embedded();
    ProcessHandle process = ProcessHandle.of(service.servicePid()).orElseThrow();
    new SessionBackup(service, silent()).release().get();
    assertTrue(process.isAlive());
    service.close();
    assertFalse(process.isAlive());
  }

  @Test
  void incremental_appendsUntilReleaseAndTakesItsOwnManifestBack() throws Exception {
    device.addBundle(MY_APP);
    Path manifest = directory.resolve("complete");
    Events events =
        new Events()
            .receive(
                file -> {
                  if (file.bundleName().equals(HIWORLD) && file.uri().equals("manage.json")) {
                    file.manifestFd().copyTo(manifest);
                  }
                });
    try (BackupService service = embedded();
        IncrementalBackupSession session = new IncrementalBackupSession(service, events)) {
      session.appendBundles(List.of(IncrementalBackupData.builder(HIWORLD).build())).get();
      events.await(Kind.ALL, "", 1);
      session.appendBundles(List.of(IncrementalBackupData.builder(MY_APP).build())).get();
      events.await(Kind.ALL, "", 2);
      int files = events.of(Kind.FILE, HIWORLD).size();
      Fd last = Fd.open(manifest, StandardOpenOption.READ);
      var again =
          session.appendBundles(
              List.of(
                  IncrementalBackupData.builder(HIWORLD)
                      .lastIncrementalTime(1_700_107_870)
                      .manifestFd(last)
                      .build()));
      last.close(); // was duplicated
      again.get();
      events.await(Kind.ALL, "", 3);
      // Nothing has changed: the index alone.
      assertEquals(files + 1, events.of(Kind.FILE, HIWORLD).size());
      session.release().get();
    }
    assertEquals(3, events.all(Kind.END).size());
    events.notes().forEach(note -> assertEquals(0, note.code(), note.toString()));
  }

  private static long changed(BackupService service, long since) throws Exception {
    try (FileData data =
        service.getLocalCapabilities(List.of(new IncrementalBackupTime(HIWORLD, since))).get()) {
      JsonNode info = entry(json(data), HIWORLD);
      assertEquals(1110, info.path("spaceOccupied").asLong());
      return info.path("increSpaceOccupied").asLong();
    }
  }

  private static String hashOfBig(BackupService service, String parameters) throws Exception {
    Events events = new Events();
    try (IncrementalBackupSession session = new IncrementalBackupSession(service, events)) {
      session
          .appendBundles(
              List.of(IncrementalBackupData.builder(HIWORLD).parameters(parameters).build()))
          .get();
      events.awaitAll();
    }
    String index = new String(events.files(HIWORLD).get("manage.json"), StandardCharsets.UTF_8);
    for (JsonNode item : json(index)) {
      if (item.at("/information/path").asText().equals("big.bin")) {
        return item.path("hash").asText("missing");
      }
    }
    throw new AssertionError(index);
  }

  private static Map<String, String> tree(Path folder) throws IOException {
    Map<String, String> found = new TreeMap<>();
    try (Stream<Path> paths = Files.walk(folder)) {
      for (Path path : paths.toList()) {
        found.put(
            folder.relativize(path).toString(),
            Files.isDirectory(path) ? "" : Files.readString(path));
      }
    }
    return found;
  }
}
