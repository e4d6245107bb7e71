package org.backupkit.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicInteger;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.Extensions;
import org.backupkit.Fd;
import org.backupkit.FileMeta;
import org.backupkit.IncrementalBackupData;
import org.backupkit.IncrementalBackupSession;
import org.backupkit.IncrementalBackupTime;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.backupkit.SessionBackup;
import org.backupkit.SessionRestore;
import org.backupkit.Tool;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** 13900011 for real: a process of the service has no descriptor left. */
class DescriptorsTest extends OnDevice {
  @BeforeEach
  void needPrlimit() {
    Tool.need("prlimit");
  }

  @Test
  void getLocalCapabilities_byCallback() throws Exception {
    try (BackupService service = full()) {
      assertEquals(OUT_OF_MEMORY, codeOf(() -> toldData(service::getLocalCapabilities)));
    }
  }

  @Test
  void getLocalCapabilities() throws Exception {
    try (BackupService service = full()) {
      assertEquals(OUT_OF_MEMORY, codeOf(service::getLocalCapabilities));
    }
  }

  @Test
  void getLocalCapabilities_ofAList() throws Exception {
    List<IncrementalBackupTime> times = List.of(new IncrementalBackupTime(HIWORLD, 0));
    try (BackupService service = full()) {
      assertEquals(OUT_OF_MEMORY, codeOf(() -> service.getLocalCapabilities(times)));
    }
  }

  @Test
  void getBackupInfo() throws Exception {
    try (BackupService service = full()) {
      assertEquals(OUT_OF_MEMORY, codeOf(() -> service.getBackupInfo(HIWORLD)));
    }
  }

  @Test
  void backupAppendBundles_byCallback() throws Exception {
    try (BackupService service = full();
        SessionBackup session = new SessionBackup(service, silent())) {
      assertEquals(
          OUT_OF_MEMORY,
          codeOf(() -> told(callback -> session.appendBundles(List.of(HIWORLD), callback))));
    }
  }

  @Test
  void backupAppendBundles() throws Exception {
    try (BackupService service = full();
        SessionBackup session = new SessionBackup(service, silent())) {
      assertEquals(OUT_OF_MEMORY, codeOf(() -> session.appendBundles(List.of(HIWORLD))));
      Extensions.leaveFree(service.servicePid(), 50);
      // Nothing had begun.
      assertEquals(0, codeOf(() -> session.appendBundles(List.of(HIWORLD))));
    }
  }

  @Test
  void restoreAppendBundles_byCallback() throws Exception {
    try (BackupService service = full();
        Fd capabilities = file("capabilities", "{\"bundleInfos\": []}");
        SessionRestore session = new SessionRestore(service, silent())) {
      assertEquals(
          OUT_OF_MEMORY,
          codeOf(
              () ->
                  told(
                      callback ->
                          session.appendBundles(capabilities, List.of(HIWORLD), callback))));
    }
  }

  @Test
  void restoreAppendBundles() throws Exception {
    try (BackupService service = full();
        Fd capabilities = file("capabilities", "{\"bundleInfos\": []}");
        SessionRestore session = new SessionRestore(service, silent())) {
      assertEquals(
          OUT_OF_MEMORY, codeOf(() -> session.appendBundles(capabilities, List.of(HIWORLD))));
    }
  }

  @Test
  void incrementalAppendBundles() throws Exception {
    List<IncrementalBackupData> bundles = List.of(IncrementalBackupData.builder(HIWORLD).build());
    try (BackupService service = full();
        IncrementalBackupSession session = new IncrementalBackupSession(service, silent())) {
      assertEquals(OUT_OF_MEMORY, codeOf(() -> session.appendBundles(bundles)));
    }
  }

  @Test
  void onBundleBegin_ofAServiceThatCannotReadTheBundle() throws Exception {
    Events events = new Events();
    try (BackupService service = embedded();
        SessionBackup session = new SessionBackup(service, events)) {
      Extensions.leaveFree(service.servicePid(), 1); // for the list alone
      session.appendBundles(List.of(HIWORLD)).get();
      assertEquals(OUT_OF_MEMORY, events.await(Kind.BEGIN, HIWORLD).code());
      assertEquals(0, events.awaitAll().code());
    }
  }

  @Test
  void aFileThatWasClosed_isLetGoByTheService_thoughTheNextOneTakesLong() throws Exception {
    device.configure("{\"packingLimit\": 0}");
    Path[] data = {sandbox.resolve("a"), sandbox.resolve("b"), sandbox.resolve("c")};
    for (Path file : data) {
      Files.writeString(file, file.toString());
    }
    try (BackupService service = embedded()) {
      AtomicInteger files = new AtomicInteger();
      Events events =
          new Events()
              .atBegin(
                  bundle -> {
                    await(() -> Extensions.hasOpen(service.servicePid(), data[2]));
                    service.getBackupVersion(); // all three are here before its answer
                  })
              .receive(
                  file -> {
                    file.close();
                    if (files.incrementAndGet() == 3) {
                      await(() -> !Extensions.hasOpen(service.servicePid(), data[0]));
                      await(() -> !Extensions.hasOpen(service.servicePid(), data[1]));
                    }
                  });
      try (SessionBackup session = new SessionBackup(service, events)) {
        session.appendBundles(List.of(HIWORLD)).get();
        assertEquals(0, events.await(Kind.END, HIWORLD).code());
      }
    }
  }

  @Test
  void onBundleEnd_ofAnExtensionThatCannotOpenAFile() throws Exception {
    device.configure("{\"packingLimit\": 0}");
    for (int i = 0; i < 200; ++i) {
      Files.write(sandbox.resolve(i + ".bin"), Device.bytes(100));
    }
    try (BackupService service = embedded()) {
      Events events =
          new Events()
              .receive(
                  file -> {
                    // There are more files than may be under way: it has not come to its end.
                    Extensions.leaveFree(Extensions.only(service).pid(), 0);
                    service.updateSendRate(HIWORLD, 800);
                  });
      try (SessionBackup session = new SessionBackup(service, events)) {
        session.appendBundles(List.of(HIWORLD)).get();
        assertEquals(OUT_OF_MEMORY, events.await(Kind.END, HIWORLD).code());
      }
    }
  }

  @Test
  void onFileReady_ofAnExtensionThatCannotMakeAFile() throws Exception {
    Events events = new Events();
    try (BackupService service = embedded();
        SessionRestore session = new SessionRestore(service, events)) {
      append(service, session, List.of(HIWORLD));
      // Its answer says that it has all that it needs for its start.
      session.getFileHandle(new FileMeta(HIWORLD, "first")).get();
      assertEquals(0, events.await(Kind.FILE, HIWORLD).code());
      Extensions.leaveFree(Extensions.only(service).pid(), 0);
      session.getFileHandle(new FileMeta(HIWORLD, "second")).get();
      Note second = events.await(Kind.FILE, HIWORLD, 2);
      assertEquals(OUT_OF_MEMORY, second.code());
    }
  }

  private BackupService full() throws Exception {
    BackupService service = embedded();
    Extensions.leaveFree(service.servicePid(), 0);
    return service;
  }

  /** Waits until something holds; how long is limited by the test's own time. */
  private static void await(Callable<Boolean> condition) throws Exception {
    while (!condition.call()) {
      Thread.onSpinWait();
    }
  }
}
