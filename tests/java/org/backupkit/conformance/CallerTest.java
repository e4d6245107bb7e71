package org.backupkit.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.backupkit.BackupService;
import org.backupkit.IncrementalBackupData;
import org.backupkit.IncrementalBackupSession;
import org.backupkit.IncrementalBackupTime;
import org.backupkit.ServiceProcess;
import org.backupkit.SessionBackup;
import org.backupkit.SessionRestore;
import org.junit.jupiter.api.Test;

/** 201 and 202: what service.json says of the caller's user. */
class CallerTest extends OnDevice {
  private static final int DENIED = 201;
  private static final int NO_SYSTEM_APP = 202;
  private static final List<IncrementalBackupTime> TIMES =
      List.of(new IncrementalBackupTime(HIWORLD, 0));

  private interface Request {
    Object of(BackupService service) throws Exception;
  }

  @Test
  void getLocalCapabilities_ofAList() throws Exception {
    refuses(service -> service.getLocalCapabilities(TIMES));
  }

  @Test
  void updateTimer() throws Exception {
    refuses(service -> service.updateTimer(HIWORLD, 30_000));
  }

  @Test
  void updateSendRate() throws Exception {
    refuses(service -> service.updateSendRate(HIWORLD, 300));
  }

  @Test
  void everyConstructor() throws Exception {
    refuses(service -> new SessionBackup(service, silent()));
    refuses(service -> new SessionRestore(service, silent()));
    refuses(service -> new IncrementalBackupSession(service, silent()));
  }

  @Test
  void everyFunctionThatNeedsNoSession() throws Exception {
    refuses(BackupService::getLocalCapabilities);
    refuses(service -> toldData(service::getLocalCapabilities));
    refuses(service -> service.getBackupInfo(HIWORLD));
    refuses(BackupService::getBackupVersion);
  }

  @Test
  void incrementalAppendBundles_afterThePermissionWasTaken() throws Exception {
    List<IncrementalBackupData> bundles = List.of(IncrementalBackupData.builder(HIWORLD).build());
    for (int code : List.of(DENIED, NO_SYSTEM_APP)) {
      whileAllowed(
          code,
          service -> new IncrementalBackupSession(service, silent()),
          session -> codeOf(() -> session.appendBundles(bundles)));
    }
  }

  private void refuses(Request request) throws Exception {
    for (int code : List.of(DENIED, NO_SYSTEM_APP)) {
      grant(code);
      try (ServiceProcess process =
              ServiceProcess.start(device.root(), directory.resolve("service.sock"));
          BackupService service = process.connect()) {
        assertEquals(code, codeOf(() -> request.of(service)));
      }
    }
  }

  private interface Open<S> {
    S on(BackupService service) throws Exception;
  }

  private interface Ask<S> {
    int of(S session) throws Exception;
  }

  private <S> void whileAllowed(int code, Open<S> open, Ask<S> ask) throws Exception {
    grant(0);
    try (ServiceProcess process =
            ServiceProcess.start(device.root(), directory.resolve("service.sock"));
        BackupService service = process.connect()) {
      S session = open.on(service); // ends with the connection
      grant(code);
      process.signal("HUP");
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
      while (codeOf(service::getBackupVersion) == 0) {
        assertTrue(System.nanoTime() < end, "the service does not read its settings again");
      }
      assertEquals(code, ask.of(session));
    }
  }

  /** Gives this process's user what leads to a code. */
  private void grant(int code) throws Exception {
    Object uid = Files.getAttribute(Path.of("/proc/self"), "unix:uid");
    device.configure(
        code == DENIED
            ? "{\"callers\": []}"
            : "{\"callers\": [{\"uid\": %s, \"backup\": true, \"system\": %s}]}"
                .formatted(uid, code == 0));
  }
}
