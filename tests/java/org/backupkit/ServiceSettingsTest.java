package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** service.json while a service runs; what each of its keys may be is tested in C++. */
@Timeout(60)
class ServiceSettingsTest {
  private static final String BUNDLE = "com.example.app";

  @TempDir Path directory;
  private Device device;
  private Path socket;
  private Object uid;

  @BeforeEach
  void makeADevice() throws IOException {
    device = new Device(directory.resolve("device"));
    Files.writeString(device.addBundle(BUNDLE).resolve("note.txt"), "note");
    socket = directory.resolve("service.sock");
    uid = Files.getAttribute(directory, "unix:uid");
  }

  @Test
  void sighupChangesWhoMayCallAlsoForWhoIsConnected() throws Exception {
    try (ServiceProcess process = ServiceProcess.start(device.root(), socket);
        BackupService service = process.connect()) {
      assertEquals(0, codeOf(service));
      device.configure("{\"callers\": [{\"uid\": %s, \"backup\": true}]}".formatted(uid));
      reload(process, service, 0);
      assertEquals(ErrorCode.NOT_SYSTEM_APP.code(), codeOf(service));
      try (BackupService another = process.connect()) {
        assertEquals(ErrorCode.NOT_SYSTEM_APP.code(), codeOf(another));
      }
      device.configure("{\"callers\": []}");
      reload(process, service, ErrorCode.NOT_SYSTEM_APP.code());
      assertEquals(ErrorCode.PERMISSION_DENIED.code(), codeOf(service));
      Files.delete(device.root().resolve("etc/backupkit/service.json"));
      reload(process, service, ErrorCode.PERMISSION_DENIED.code());
      assertEquals(0, codeOf(service));
    }
  }

  @Test
  void whoseRightsWereTakenCanStillReleaseItsSession() throws Exception {
    try (ServiceProcess process = ServiceProcess.start(device.root(), socket);
        BackupService service = process.connect();
        SessionBackup session = new SessionBackup(service, new Recorder())) {
      device.configure("{\"callers\": []}");
      reload(process, service, 0);
      session.release().get(30, TimeUnit.SECONDS);
      device.configure("{}");
      reload(process, service, ErrorCode.PERMISSION_DENIED.code());
      new SessionBackup(service, new Recorder()).close();
    }
  }

  @Test
  void aBrokenFileIsNamedWithItsLineAndWhatHeldHoldsOn() throws Exception {
    device.configure("{\"callers\": [{\"uid\": %s, \"backup\": true}]}".formatted(uid));
    try (ServiceProcess process = ServiceProcess.start(device.root(), socket);
        BackupService service = process.connect()) {
      device.configure("{\n\"callers\": [],\n\"maxExtensions\": 0}");
      process.signal("HUP");
      String line = process.nextLine();
      assertTrue(line.contains("service.json"), line);
      assertTrue(line.contains("line 3: maxExtensions"), line);
      assertEquals(ErrorCode.NOT_SYSTEM_APP.code(), codeOf(service));
      device.configure("{\n\"callers\": [}");
      process.signal("HUP");
      line = process.nextLine();
      assertTrue(line.contains(" failed with 202: "), line);
      line = process.nextLine();
      assertTrue(line.contains("service.json") && line.contains("line 2"), line);
      assertEquals(ErrorCode.NOT_SYSTEM_APP.code(), codeOf(service));
      device.configure("{}");
      reload(process, service, ErrorCode.NOT_SYSTEM_APP.code());
      assertEquals(0, codeOf(service));
    }
  }

  @Test
  void aServiceDoesNotStartWithABrokenFile() throws Exception {
    device.configure("{\n\n\"idleLimit\": true}");
    BackupException refused =
        assertThrows(BackupException.class, () -> BackupService.embedded(device.root()).close());
    assertTrue(refused.getMessage().contains("line 3: idleLimit"), refused.getMessage());
  }

  @Test
  void anEmbeddersPermissionsAreNoMatterOfTheFile() throws Exception {
    device.configure("{\"callers\": []}");
    try (BackupService service = BackupService.embedded(device.root())) {
      assertEquals(0, codeOf(service));
    }
  }

  /** Has the file read again, and waits until it was: a signal says nothing of that itself. */
  private static void reload(ServiceProcess process, BackupService service, int old)
      throws Exception {
    process.signal("HUP");
    long end = System.nanoTime() + 30_000_000_000L;
    while (codeOf(service) == old && System.nanoTime() < end) {
      Thread.onSpinWait();
    }
    assertNotEquals(old, codeOf(service));
  }

  private static int codeOf(BackupService service) {
    try {
      assertTrue(service.getBackupVersion().contains("backupVersion"));
      return 0;
    } catch (BackupException e) {
      return e.code();
    }
  }
}
