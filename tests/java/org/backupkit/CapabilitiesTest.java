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
  void theSizeReportCountsWhatTheListNames() throws Exception {
    CompletableFuture<String> report = new CompletableFuture<>();
    GeneralCallbacks callbacks =
        new GeneralCallbacks() {
          @Override
          public void onBackupSizeReport(String json) {
            report.complete(json);
          }
        };
    try (SessionBackup session = new SessionBackup(service, callbacks)) {
      List<IncrementalBackupTime> times = List.of(new IncrementalBackupTime(NOTES, 0));
      session.getBackupDataSize(true, times).get(30, TimeUnit.SECONDS);
      JsonNode scanned =
          new ObjectMapper().readTree(report.get(30, TimeUnit.SECONDS)).get("scanned");
      assertEquals(1, scanned.size());
      assertEquals(1000, scanned.get(0).get("dataSize").longValue());
      assertSame(ErrorCode.PARAMETER, failureOf(session.getBackupDataSize(true, null)).error());
    }
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
