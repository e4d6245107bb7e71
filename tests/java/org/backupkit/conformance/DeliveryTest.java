package org.backupkit.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.backupkit.BackupService;
import org.backupkit.ErrorCode;
import org.backupkit.Fd;
import org.backupkit.FileMeta;
import org.backupkit.IncrementalBackupData;
import org.backupkit.IncrementalBackupSession;
import org.backupkit.IncrementalBackupTime;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.backupkit.SessionBackup;
import org.backupkit.SessionRestore;
import org.junit.jupiter.api.Test;

/** Whichever of its codes a function's or callback's frame carries, it arrives there. */
class DeliveryTest extends OnDevice {
  private static final String FAKE = "com.example.fake";
  private static final List<IncrementalBackupTime> TIMES =
      List.of(new IncrementalBackupTime(FAKE, 0));
  private static final FileMeta FILE = new FileMeta(FAKE, "test.txt");
  // The codes that the interface lists for a function or callback.
  private static final List<Integer> ANY_CODES =
      List.of(13_600_001, 13_900_005, 13_900_011, 13_900_020, 13_900_025, 13_900_042);
  private static final List<Integer> BEGIN_CODES =
      List.of(
          401,
          13_500_001,
          13_500_002,
          13_600_001,
          13_900_005,
          13_900_011,
          13_900_020,
          13_900_025,
          13_900_042);
  private static final List<Integer> END_CODES =
      List.of(
          401,
          13_500_003,
          13_500_004,
          13_600_001,
          13_900_005,
          13_900_011,
          13_900_020,
          13_900_025,
          13_900_042);
  private static final List<Integer> CAPABILITY_CODES =
      List.of(13_600_001, 13_900_005, 13_900_011, 13_900_025, 13_900_042);
  private static final List<Integer> CAPABILITY_LIST_CODES =
      List.of(
          201, 202, 401, 13_600_001, 13_900_005, 13_900_011, 13_900_020, 13_900_025, 13_900_042);
  private static final List<Integer> PERMITTED_CODES =
      List.of(13_600_001, 13_900_001, 13_900_005, 13_900_011, 13_900_020, 13_900_025, 13_900_042);
  private static final List<Integer> CALLER_CODES = List.of(201, 202, 401);
  private static final List<Integer> RELEASE_CODES =
      List.of(201, 202, 401, 13_600_001, 13_900_001, 13_900_005, 13_900_042);
  private static final List<Integer> FILES_CODES =
      List.of(13_600_001, 13_900_001, 13_900_020, 13_900_042);
  private static final List<Integer> INCREMENTAL_CODES =
      List.of(
          201,
          202,
          401,
          13_600_001,
          13_900_001,
          13_900_005,
          13_900_011,
          13_900_020,
          13_900_025,
          13_900_042);
  private static final List<Integer> INCREMENTAL_RELEASE_CODES =
      List.of(201, 202, 401, 13_600_001, 13_900_001, 13_900_005, 13_900_020, 13_900_042);
  // Frames by their numbers in wire.h.
  private static final int CAPABILITIES = 2;
  private static final int OPEN_SESSION = 3;
  private static final int APPEND = 4;
  private static final int FILE_HANDLE = 5;
  private static final int PUBLISH = 6;
  private static final int RELEASE = 7;
  private static final int APP_CALL = 10;
  private static final int UPDATE_TIMER = 11;
  private static final int UPDATE_RATE = 12;
  private static final int FILE_READY = 34;
  private static final int BUNDLE_BEGIN = 35;
  private static final int BUNDLE_END = 36;
  private static final int ALL_END = 37;

  /** Something to ask a service. */
  private interface Request {
    Object of(BackupService service) throws Exception;
  }

  @Test
  void onFileReady_isToldEachOfItsCodes() throws Exception {
    tells(ANY_CODES, FILE_READY, Kind.FILE, FAKE);
  }

  @Test
  void onBundleBegin_isToldEachOfItsCodes() throws Exception {
    tells(BEGIN_CODES, BUNDLE_BEGIN, Kind.BEGIN, FAKE);
  }

  @Test
  void onBundleEnd_isToldEachOfItsCodes() throws Exception {
    tells(END_CODES, BUNDLE_END, Kind.END, FAKE);
  }

  @Test
  void onAllBundlesEnd_isToldEachOfItsCodes() throws Exception {
    tells(ANY_CODES, ALL_END, Kind.ALL, "");
  }

  @Test
  void getLocalCapabilities_byCallback() throws Exception {
    gives(CAPABILITY_CODES, CAPABILITIES, service -> toldData(service::getLocalCapabilities));
  }

  @Test
  void getLocalCapabilities() throws Exception {
    gives(CAPABILITY_CODES, CAPABILITIES, BackupService::getLocalCapabilities);
  }

  @Test
  void getLocalCapabilities_ofAList() throws Exception {
    gives(CAPABILITY_LIST_CODES, CAPABILITIES, service -> service.getLocalCapabilities(TIMES));
  }

  @Test
  void getBackupInfo() throws Exception {
    gives(PERMITTED_CODES, APP_CALL, service -> service.getBackupInfo(FAKE));
  }

  @Test
  void updateTimer() throws Exception {
    gives(CALLER_CODES, UPDATE_TIMER, service -> service.updateTimer(FAKE, 30_000));
  }

  @Test
  void updateSendRate() throws Exception {
    gives(CALLER_CODES, UPDATE_RATE, service -> service.updateSendRate(FAKE, 300));
  }

  @Test
  void backupAppendBundles_byCallback() throws Exception {
    gives(
        PERMITTED_CODES,
        APPEND,
        inBackup(session -> told(callback -> session.appendBundles(List.of(FAKE), callback))));
  }

  @Test
  void backupAppendBundles() throws Exception {
    gives(
        PERMITTED_CODES,
        APPEND,
        inBackup(session -> session.appendBundles(List.of(FAKE), List.of("{}"))));
  }

  @Test
  void backupRelease() throws Exception {
    gives(RELEASE_CODES, RELEASE, inBackup(SessionBackup::release));
  }

  @Test
  void restoreAppendBundles_byCallback() throws Exception {
    Path file = Files.writeString(directory.resolve("capabilities"), "{\"bundleInfos\": []}");
    try (Fd capabilities = Fd.open(file)) {
      gives(
          PERMITTED_CODES,
          APPEND,
          inRestore(
              session ->
                  told(callback -> session.appendBundles(capabilities, List.of(FAKE), callback))));
    }
  }

  @Test
  void restoreAppendBundles() throws Exception {
    Path file = Files.writeString(directory.resolve("capabilities"), "{\"bundleInfos\": []}");
    try (Fd capabilities = Fd.open(file)) {
      gives(
          PERMITTED_CODES,
          APPEND,
          inRestore(session -> session.appendBundles(capabilities, List.of(FAKE), List.of("{}"))));
    }
  }

  @Test
  void getFileHandle_byCallback() throws Exception {
    gives(
        FILES_CODES,
        FILE_HANDLE,
        inRestore(session -> told(callback -> session.getFileHandle(FILE, callback))));
  }

  @Test
  void getFileHandle() throws Exception {
    gives(FILES_CODES, FILE_HANDLE, inRestore(session -> session.getFileHandle(FILE)));
  }

  @Test
  void publishFile_byCallback() throws Exception {
    gives(
        FILES_CODES,
        PUBLISH,
        inRestore(session -> told(callback -> session.publishFile(FILE, callback))));
  }

  @Test
  void publishFile() throws Exception {
    gives(FILES_CODES, PUBLISH, inRestore(session -> session.publishFile(FILE)));
  }

  @Test
  void restoreRelease() throws Exception {
    gives(RELEASE_CODES, RELEASE, inRestore(SessionRestore::release));
  }

  @Test
  void incrementalConstructor() throws Exception {
    gives(CALLER_CODES, OPEN_SESSION, service -> new IncrementalBackupSession(service, silent()));
  }

  @Test
  void incrementalAppendBundles() throws Exception {
    List<IncrementalBackupData> bundles = List.of(IncrementalBackupData.builder(FAKE).build());
    gives(INCREMENTAL_CODES, APPEND, inIncremental(session -> session.appendBundles(bundles)));
  }

  @Test
  void incrementalRelease() throws Exception {
    gives(INCREMENTAL_RELEASE_CODES, RELEASE, inIncremental(IncrementalBackupSession::release));
  }

  @Test
  void onFileReady_withoutADescriptorIsAnIpcError() throws Exception {
    Note told = sessionTells(FILE_READY, 0, Kind.FILE);
    assertEquals(IPC, told.code());
    assertEquals("part.0.tar", told.text());
  }

  private interface In<S> {
    Object ask(S session) throws Exception;
  }

  private static Request inBackup(In<SessionBackup> call) {
    return service -> {
      try (SessionBackup session = new SessionBackup(service, silent())) {
        return codeOf(() -> call.ask(session));
      }
    };
  }

  private static Request inRestore(In<SessionRestore> call) {
    return service -> {
      try (SessionRestore session = new SessionRestore(service, silent())) {
        return codeOf(() -> call.ask(session));
      }
    };
  }

  private static Request inIncremental(In<IncrementalBackupSession> call) {
    return service -> {
      try (IncrementalBackupSession session = new IncrementalBackupSession(service, silent())) {
        return codeOf(() -> call.ask(session));
      }
    };
  }

  private void gives(List<Integer> codes, int frame, Request request) throws Exception {
    for (int code : codes) {
      Path socket = directory.resolve(code + ".sock");
      try (FakeService fake = new FakeService(socket, frame, code);
          BackupService service = fake.connect()) {
        Object[] inside = new Object[1];
        int outside = codeOf(() -> inside[0] = request.of(service));
        assertEquals(code, inside[0] instanceof Integer number ? number.intValue() : outside);
      }
    }
  }

  private void tells(List<Integer> codes, int frame, Kind kind, String bundle) throws Exception {
    for (int code : codes) {
      Note event = sessionTells(frame, code, kind);
      assertEquals(code, event.code());
      assertEquals(bundle, event.bundle());
      assertEquals(ErrorCode.of(code), event.error().error());
      assertEquals(bundle.isEmpty() ? null : bundle, event.error().bundleName());
      // Nothing but what is to fail does.
      for (Kind other : List.of(Kind.BEGIN, Kind.END, Kind.ALL)) {
        if (other != kind) {
          assertNull(lastSession.all(other).get(0).error());
        }
      }
    }
  }

  private Events lastSession;

  private Note sessionTells(int frame, int code, Kind kind) throws Exception {
    Events events = new Events();
    lastSession = events;
    Path socket = directory.resolve(code + ".sock");
    try (FakeService fake = new FakeService(socket, frame, code);
        BackupService service = fake.connect();
        SessionBackup session = new SessionBackup(service, events)) {
      session.appendBundles(List.of(FAKE)).get();
      events.awaitAll();
      return events.await(kind, kind == Kind.ALL ? "" : FAKE);
    }
  }
}
