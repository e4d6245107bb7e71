package org.backupkit.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.backupkit.BackupException;
import org.backupkit.BackupService;
import org.backupkit.Fd;
import org.backupkit.FileMeta;
import org.backupkit.IncrementalBackupData;
import org.backupkit.IncrementalBackupSession;
import org.backupkit.IncrementalBackupTime;
import org.backupkit.Journal.Kind;
import org.backupkit.SessionBackup;
import org.backupkit.SessionRestore;
import org.backupkit.Tool;
import org.junit.jupiter.api.Test;

/** 13600001 for real: the service is killed while a call waits for its answer. */
class DeathTest extends OnDevice {
  private static final FileMeta FILE = new FileMeta(HIWORLD, "test.txt");

  private interface Pending {
    CompletableFuture<?> ask() throws Exception;
  }

  @Test
  void getLocalCapabilities_byCallback() throws Exception {
    try (BackupService service = embedded()) {
      assertEquals(IPC, codeWhenKilled(service, () -> toldData(service::getLocalCapabilities)));
    }
  }

  @Test
  void getLocalCapabilities() throws Exception {
    try (BackupService service = embedded()) {
      assertEquals(IPC, codeWhenKilled(service, service::getLocalCapabilities));
    }
  }

  @Test
  void getLocalCapabilities_ofAList() throws Exception {
    List<IncrementalBackupTime> times = List.of(new IncrementalBackupTime(HIWORLD, 0));
    try (BackupService service = embedded()) {
      assertEquals(IPC, codeWhenKilled(service, () -> service.getLocalCapabilities(times)));
    }
  }

  @Test
  void getBackupInfo() throws Exception {
    try (BackupService service = embedded()) {
      Pending asks =
          () -> {
            CompletableFuture<String> answer = new CompletableFuture<>();
            new Thread(
                    () -> {
                      try {
                        answer.complete(service.getBackupInfo(HIWORLD));
                      } catch (BackupException e) {
                        answer.completeExceptionally(e);
                      }
                    })
                .start();
            return answer;
          };
      assertEquals(IPC, codeWhenKilled(service, asks));
    }
  }

  @Test
  void backupAppendBundles_byCallback() throws Exception {
    try (BackupService service = embedded();
        SessionBackup session = new SessionBackup(service, silent())) {
      Pending asks = () -> told(callback -> session.appendBundles(List.of(HIWORLD), callback));
      assertEquals(IPC, codeWhenKilled(service, asks));
    }
  }

  @Test
  void backupAppendBundles() throws Exception {
    try (BackupService service = embedded();
        SessionBackup session = new SessionBackup(service, silent())) {
      Pending asks = () -> session.appendBundles(List.of(HIWORLD), List.of("{}"));
      assertEquals(IPC, codeWhenKilled(service, asks));
    }
  }

  @Test
  void backupRelease() throws Exception {
    try (BackupService service = embedded();
        SessionBackup session = new SessionBackup(service, silent())) {
      assertEquals(IPC, codeWhenKilled(service, session::release));
    }
  }

  @Test
  void restoreAppendBundles_byCallback() throws Exception {
    try (BackupService service = embedded();
        Fd capabilities = file("capabilities", "{\"bundleInfos\": []}");
        SessionRestore session = new SessionRestore(service, silent())) {
      Pending asks =
          () -> told(callback -> session.appendBundles(capabilities, List.of(HIWORLD), callback));
      assertEquals(IPC, codeWhenKilled(service, asks));
    }
  }

  @Test
  void restoreAppendBundles() throws Exception {
    try (BackupService service = embedded();
        Fd capabilities = file("capabilities", "{\"bundleInfos\": []}");
        SessionRestore session = new SessionRestore(service, silent())) {
      Pending asks = () -> session.appendBundles(capabilities, List.of(HIWORLD));
      assertEquals(IPC, codeWhenKilled(service, asks));
    }
  }

  @Test
  void getFileHandle_byCallback() throws Exception {
    try (BackupService service = embedded();
        SessionRestore session = new SessionRestore(service, silent())) {
      append(service, session, List.of(HIWORLD));
      Pending asks = () -> told(callback -> session.getFileHandle(FILE, callback));
      assertEquals(IPC, codeWhenKilled(service, asks));
    }
  }

  @Test
  void getFileHandle() throws Exception {
    try (BackupService service = embedded();
        SessionRestore session = new SessionRestore(service, silent())) {
      append(service, session, List.of(HIWORLD));
      assertEquals(IPC, codeWhenKilled(service, () -> session.getFileHandle(FILE)));
    }
  }

  @Test
  void publishFile_byCallback() throws Exception {
    try (BackupService service = embedded();
        SessionRestore session = new SessionRestore(service, silent())) {
      append(service, session, List.of(HIWORLD));
      Pending asks = () -> told(callback -> session.publishFile(FILE, callback));
      assertEquals(IPC, codeWhenKilled(service, asks));
    }
  }

  @Test
  void publishFile() throws Exception {
    try (BackupService service = embedded();
        SessionRestore session = new SessionRestore(service, silent())) {
      append(service, session, List.of(HIWORLD));
      assertEquals(IPC, codeWhenKilled(service, () -> session.publishFile(FILE)));
    }
  }

  @Test
  void restoreRelease() throws Exception {
    try (BackupService service = embedded();
        SessionRestore session = new SessionRestore(service, silent())) {
      assertEquals(IPC, codeWhenKilled(service, session::release));
    }
  }

  @Test
  void incrementalAppendBundles() throws Exception {
    List<IncrementalBackupData> bundles = List.of(IncrementalBackupData.builder(HIWORLD).build());
    try (BackupService service = embedded();
        IncrementalBackupSession session = new IncrementalBackupSession(service, silent())) {
      assertEquals(IPC, codeWhenKilled(service, () -> session.appendBundles(bundles)));
    }
  }

  @Test
  void incrementalRelease() throws Exception {
    try (BackupService service = embedded();
        IncrementalBackupSession session = new IncrementalBackupSession(service, silent())) {
      assertEquals(IPC, codeWhenKilled(service, session::release));
    }
  }

  @Test
  void onBackupServiceDied_isToldOnceAndLast() throws Exception {
    Events events = new Events();
    try (BackupService service = embedded();
        SessionBackup session = new SessionBackup(service, events)) {
      session.appendBundles(List.of(UNKNOWN)).get();
      events.awaitAll();
      kill(service);
      events.await(Kind.DIED, "");
      assertEquals(IPC, codeOf(service::getLocalCapabilities));
    }
    assertEquals(1, events.all(Kind.DIED).size());
    assertEquals(Kind.DIED, events.notes().get(events.notes().size() - 1).kind());
  }

  /** A stopped service takes the call and answers nothing; then it dies. */
  private static int codeWhenKilled(BackupService service, Pending call) throws Exception {
    Tool.succeed("sh", "-c", "kill -STOP " + service.servicePid());
    CompletableFuture<?> answer = call.ask();
    kill(service);
    return codeOf(() -> answer);
  }

  private static void kill(BackupService service) {
    assertTrue(ProcessHandle.of(service.servicePid()).orElseThrow().destroyForcibly());
  }
}
