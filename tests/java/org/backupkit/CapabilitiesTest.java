package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** The capability file in its three forms, and the functions beside it that need no session. */
class CapabilitiesTest {
  private static final String NOTES = "com.example.notes";
  private static final String PHOTOS = "com.example.photos";

  @TempDir private Path directory;
  private Device device;
  private BackupService service;

  @BeforeEach
  void makeDevice() throws IOException {
    device = new Device(directory);
    Path notes = device.addBundle(NOTES);
    Files.write(notes.resolve("letter"), Device.bytes(1000));
    Files.createLink(notes.resolve("the-same"), notes.resolve("letter"));
    Files.write(device.addBundle(PHOTOS).resolve("photo"), Device.bytes(5));
    device.configure("{\"deviceType\": \"phone\", \"systemFullName\": \"Example-1.0\"}");
    service = BackupService.embedded(device.root());
  }

  @AfterEach
  void close() {
    service.close();
  }

  @Test
  void theFileHasTheSeedsFieldsAndRealSizes() throws Exception {
    JsonNode file = read(service.getLocalCapabilities());
    assertEquals("phone", file.get("deviceType").textValue());
    assertEquals("Example-1.0", file.get("systemFullName").textValue());
    assertEquals(2, file.get("bundleInfos").size());
    JsonNode notes = file.get("bundleInfos").get(0);
    assertEquals(NOTES, notes.get("name").textValue());
    assertTrue(notes.get("allToBackup").booleanValue());
    assertEquals("BackupExtensionAbility", notes.get("extensionName").textValue());
    assertFalse(notes.get("needToInstall").booleanValue());
    assertEquals(1000, notes.get("spaceOccupied").longValue(), "two names of one file count once");
    assertEquals(1, notes.get("versionCode").longValue());
    assertEquals("1.0", notes.get("versionName").textValue());
    assertFalse(notes.has("increSpaceOccupied"));
    assertFalse(file.has("problems"));
  }

  @Test
  void holesOccupyNothing() throws Exception {
    try (RandomAccessFile photo =
        new RandomAccessFile(device.sandbox(PHOTOS).resolve("sparse").toFile(), "rw")) {
      photo.setLength(1L << 40);
    }
    JsonNode photos = read(service.getLocalCapabilities()).get("bundleInfos").get(1);
    assertEquals(5, photos.get("spaceOccupied").longValue());
  }

  @Test
  void theCallbackGetsTheSameFile() throws Exception {
    CompletableFuture<FileData> told = new CompletableFuture<>();
    service.getLocalCapabilities(
        (error, data) -> {
          if (error != null) {
            told.completeExceptionally(error);
          } else {
            told.complete(data);
          }
        });
    assertEquals(read(service.getLocalCapabilities()), read(told));
  }

  @Test
  void theFileIsReadOnlyAndAtItsStart() throws Exception {
    try (FileData data = service.getLocalCapabilities().get(30, TimeUnit.SECONDS);
        var stream = data.fd().newInputStream()) {
      assertEquals('{', stream.read());
      Path self = Path.of("/proc/self/fd/" + data.fd().number());
      assertThrows(IOException.class, () -> Files.write(self, new byte[] {1}));
      assertThrows(IOException.class, () -> data.fd().copyFrom(directory.resolve("etc")));
    }
  }

  @Test
  void aListGivesItsInstalledBundlesAndWhatChangedSince() throws Exception {
    long later = Instant.now().getEpochSecond() + 3600;
    JsonNode file =
        read(
            service.getLocalCapabilities(
                List.of(
                    new IncrementalBackupTime(PHOTOS, 0),
                    new IncrementalBackupTime("com.example.unknown", 0),
                    new IncrementalBackupTime(NOTES, later))));
    assertEquals(2, file.get("bundleInfos").size());
    JsonNode photos = file.get("bundleInfos").get(0);
    assertEquals(PHOTOS, photos.get("name").textValue());
    assertEquals(5, photos.get("spaceOccupied").longValue());
    assertEquals(5, photos.get("increSpaceOccupied").longValue());
    JsonNode notes = file.get("bundleInfos").get(1);
    assertEquals(1000, notes.get("spaceOccupied").longValue());
    assertEquals(0, notes.get("increSpaceOccupied").longValue());
  }

  @Test
  void anEmptyListGivesNoBundles() throws Exception {
    assertEquals(0, read(service.getLocalCapabilities(List.of())).get("bundleInfos").size());
  }

  @Test
  void aBadListIsA401AndTheNextCallWorks() throws Exception {
    List<IncrementalBackupTime> withNull = Arrays.asList((IncrementalBackupTime) null);
    List<IncrementalBackupTime> badName = List.of(new IncrementalBackupTime("../x", 0));
    List<List<IncrementalBackupTime>> lists = new ArrayList<>(List.of(withNull, badName));
    lists.add(null);
    for (List<IncrementalBackupTime> list : lists) {
      assertSame(ErrorCode.PARAMETER, failureOf(service.getLocalCapabilities(list)).error());
    }
    assertEquals(2, read(service.getLocalCapabilities()).get("bundleInfos").size());
  }

  @Test
  void aBundleThatMustNotBeBackedUpOccupiesNothing() throws Exception {
    Path sandbox = device.addBundle("com.example.secret");
    Files.write(sandbox.resolve("key"), Device.bytes(10));
    Files.writeString(
        device.root().resolve("etc/backupkit/bundles/com.example.secret.json"),
        """
        {"name": "com.example.secret", "sandbox": "data/com.example.secret",
         "backup": {"allowToBackupRestore": false}}
        """);
    JsonNode secret = read(service.getLocalCapabilities()).get("bundleInfos").get(2);
    assertFalse(secret.get("allToBackup").booleanValue());
    assertEquals(0, secret.get("spaceOccupied").longValue());
  }

  @Test
  void aSandboxThatIsMissingIsNamedAsAProblem() throws Exception {
    Device.empty(device.root().resolve("data"));
    JsonNode problems = read(service.getLocalCapabilities()).get("problems");
    assertEquals(NOTES, problems.get(0).get("bundle").textValue());
    assertTrue(problems.get(0).get("error").textValue().contains("ENOENT"));
  }

  @Test
  void theVersionIsAJsonObject() throws Exception {
    JsonNode version = new ObjectMapper().readTree(service.getBackupVersion());
    assertFalse(version.get("backupVersion").textValue().isEmpty());
  }

  @Test
  void timersAndRatesOutsideTheirRangeAre401AndInsideFalseWithoutABundle() throws Exception {
    for (int limit : new int[] {-1, 14_400_001}) {
      assert401(() -> service.updateTimer(NOTES, limit));
    }
    assert401(() -> service.updateSendRate(NOTES, -1));
    assert401(() -> service.updateTimer("../x", 0));
    assert401(() -> service.updateSendRate(null, 0));
    assertFalse(service.updateTimer(NOTES, 0));
    assertFalse(service.updateTimer(NOTES, 14_400_000));
    assertFalse(service.updateSendRate(NOTES, 0));
    assertFalse(service.updateSendRate(NOTES, 801));
  }

  @Test
  void aSession_listsTheBundlesWithoutLookingAtTheirFiles() throws Exception {
    Device.empty(device.root().resolve("data"));
    try (SessionBackup session = new SessionBackup(service, new Journal())) {
      JsonNode file = read(session.getLocalCapabilities());
      assertEquals(2, file.get("bundleInfos").size());
      assertEquals(NOTES, file.get("bundleInfos").get(0).get("name").textValue());
      assertFalse(file.get("bundleInfos").get(0).has("spaceOccupied"));
      assertFalse(file.has("problems"), "no sandbox was looked for");
    }
    try (SessionRestore session = new SessionRestore(service, new Journal())) {
      assertEquals(2, read(session.getLocalCapabilities()).get("bundleInfos").size());
      session.release().get();
      assertSame(ErrorCode.NOT_PERMITTED, failureOf(session.getLocalCapabilities()).error());
    }
    try (IncrementalBackupSession session = new IncrementalBackupSession(service, new Journal())) {
      assertEquals(2, read(session.getLocalCapabilities()).get("bundleInfos").size());
    }
  }

  @Test
  void theSizeReports_comeBundleByBundle() throws Exception {
    List<JsonNode> reports = sizes(true, NOTES, "com.example.unknown", PHOTOS, NOTES);
    assertEquals(2, reports.size(), reports.toString());
    assertEquals(
        "[{\"bundleName\":\"com.example.notes\",\"dataSize\":1000,\"incDataSize\":1000}]",
        reports.get(0).get("scanned").toString());
    assertEquals(PHOTOS, reports.get(0).get("scanning").textValue());
    assertEquals(5, reports.get(1).get("scanned").get(0).get("dataSize").longValue());
    assertEquals("", reports.get(1).get("scanning").textValue());
    assertEquals(
        "[{\"scanned\":[],\"scanning\":\"\"}]", sizes(true, "com.example.unknown").toString());
    assertEquals("[{\"scanned\":[],\"scanning\":\"\"}]", sizes(true).toString());
  }

  @Test
  void aQuickSize_isAnUpperBoundOrTheLastOneCounted() throws Exception {
    JsonNode bound = sizes(false, NOTES).get(0).get("scanned").get(0);
    assertEquals("upper bound", bound.get("estimate").textValue());
    assertTrue(bound.get("dataSize").longValue() >= 1000, bound.toString());
    assertEquals(-1, bound.get("incDataSize").longValue());
    sizes(true, NOTES);
    Files.write(device.sandbox(NOTES).resolve("more"), Device.bytes(1000));
    JsonNode known = sizes(false, NOTES).get(0).get("scanned").get(0);
    assertEquals("last known", known.get("estimate").textValue());
    assertEquals(1000, known.get("dataSize").longValue());
    // What is torn there counts for nothing.
    Files.writeString(device.root().resolve("var/lib/backupkit/sizes").resolve(NOTES), "10");
    known = sizes(false, NOTES).get(0).get("scanned").get(0);
    assertEquals("upper bound", known.get("estimate").textValue());
  }

  @Test
  void aSizeThatCannotBeFound_isMinusOneAndSaysWhy() throws Exception {
    Device.empty(device.root().resolve("data"));
    for (boolean precise : new boolean[] {true, false}) {
      JsonNode gone = sizes(precise, NOTES).get(0).get("scanned").get(0);
      assertEquals(-1, gone.get("dataSize").longValue());
      assertTrue(gone.get("problem").textValue().contains("ENOENT"), gone.toString());
    }
  }

  @Test
  void aListThatIsNone_isA401() throws Exception {
    try (SessionBackup session = new SessionBackup(service, new Journal())) {
      assertSame(ErrorCode.PARAMETER, failureOf(session.getBackupDataSize(true, null)).error());
    }
  }

  /** The first one would take as long as the pipe has no writer. */
  @Test
  void aNewRequest_takesThePlaceOfOneUnderWay_andReleaseEndsIt() throws Exception {
    Path bundle = device.bundleFile("com.example.slow");
    Tool.succeed("mkfifo", bundle.toString());
    List<IncrementalBackupTime> slow = List.of(new IncrementalBackupTime("com.example.slow", 0));
    Journal journal = new Journal();
    try (SessionBackup session = new SessionBackup(service, journal)) {
      CompletableFuture<Void> first = session.getBackupDataSize(true, slow);
      CompletableFuture<Void> second =
          session.getBackupDataSize(true, List.of(new IncrementalBackupTime(NOTES, 0)));
      assertSame(ErrorCode.CANCELLED, failureOf(first).error());
      second.get(30, TimeUnit.SECONDS);
      assertTrue(journal.await(Journal.Kind.SIZE, "").text().contains(NOTES));
      CompletableFuture<Void> third = session.getBackupDataSize(true, slow);
      session.release().get(30, TimeUnit.SECONDS);
      assertSame(ErrorCode.CANCELLED, failureOf(third).error());
      assertEquals(1, journal.of(Journal.Kind.SIZE, "").size());
    }
  }

  private List<JsonNode> sizes(boolean precise, String... bundles) throws Exception {
    Journal journal = new Journal();
    List<JsonNode> reports = new ArrayList<>();
    try (SessionBackup session = new SessionBackup(service, journal)) {
      List<IncrementalBackupTime> times =
          Stream.of(bundles).map(bundle -> new IncrementalBackupTime(bundle, 0)).toList();
      session.getBackupDataSize(precise, times).get(30, TimeUnit.SECONDS);
      do {
        Journal.Note note = journal.await(Journal.Kind.SIZE, "", reports.size() + 1);
        reports.add(new ObjectMapper().readTree(note.text()));
      } while (!reports.get(reports.size() - 1).get("scanning").textValue().isEmpty());
      assertEquals(reports.size(), journal.of(Journal.Kind.SIZE, "").size());
    }
    return reports;
  }

  private static JsonNode read(Future<FileData> future) throws Exception {
    try (FileData data = future.get(30, TimeUnit.SECONDS)) {
      return new ObjectMapper().readTree(data.fd().readAllBytes());
    }
  }

  private static BackupException failureOf(Future<?> future) {
    ExecutionException failure =
        assertThrows(ExecutionException.class, () -> future.get(30, TimeUnit.SECONDS));
    return (BackupException) failure.getCause();
  }

  private static void assert401(Executable call) {
    assertSame(ErrorCode.PARAMETER, assertThrows(BackupException.class, call).error());
  }
}
