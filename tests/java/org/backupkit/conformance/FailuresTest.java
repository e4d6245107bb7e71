package org.backupkit.conformance;

import static java.util.Objects.requireNonNull;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.backupkit.BackupException;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.Extensions;
import org.backupkit.Fd;
import org.backupkit.FileData;
import org.backupkit.FileMeta;
import org.backupkit.IncrementalBackupData;
import org.backupkit.IncrementalBackupSession;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.backupkit.SessionBackup;
import org.backupkit.SessionRestore;
import org.junit.jupiter.api.Test;

/** The other codes for real, each by what leads to it. */
class FailuresTest extends OnDevice {
  // Reading it from its start gives EIO, to everybody who may open it.
  private static final Path UNREADABLE = Path.of("/proc/self/mem");

  // 13500001

  @Test
  void onBundleBegin_ofAnUnknownBundleIs13500001() throws Exception {
    assertEquals(NOT_ADDED, beginOf(UNKNOWN));
  }

  @Test
  void onBundleBegin_ofABundleThatIsNotAllowedIs13500001() throws Exception {
    Path file = device.bundleFile(HIWORLD);
    Files.writeString(file, Files.readString(file).replace("Restore\": true", "Restore\": false"));
    assertEquals(NOT_ADDED, beginOf(HIWORLD));
  }

  @Test
  void onBundleBegin_ofABundleThatTheCapabilityFileLacksIs13500001() throws Exception {
    Events events = new Events();
    try (BackupService service = embedded();
        Fd capabilities = file("capabilities", "{\"bundleInfos\": []}");
        SessionRestore session = new SessionRestore(service, events)) {
      session.appendBundles(capabilities, List.of(HIWORLD)).get();
      assertEquals(NOT_ADDED, events.await(Kind.BEGIN, HIWORLD).code());
      assertEquals(0, events.awaitAll().code());
      assertEquals(List.of(), events.all(Kind.END));
    }
  }

  // 13500002

  @Test
  void onBundleBegin_withoutASandboxIs13500002() throws Exception {
    Device.empty(sandbox);
    Files.delete(sandbox);
    assertEquals(START_FAILED, beginOf(HIWORLD));
  }

  @Test
  void onBundleBegin_withoutItsHookProgramIs13500002() throws Exception {
    device.setHook(HIWORLD, List.of("bin/missing"));
    assertEquals(START_FAILED, beginOf(HIWORLD));
  }

  // 13500003 and 13500004

  @Test
  void onBundleEnd_ofABundleWhoseTimeIsOverIs13500003() throws Exception {
    try (BackupService service = embedded()) {
      Events events = new Events().atBegin(bundle -> assertTrue(service.updateTimer(HIWORLD, 0)));
      try (SessionBackup session = new SessionBackup(service, events)) {
        session.appendBundles(List.of(HIWORLD)).get();
        Note end = events.await(Kind.END, HIWORLD);
        assertEquals(TIMED_OUT, end.code());
        assertTrue(end.error().getMessage().contains("time limit"), end.error().getMessage());
      }
    }
  }

  @Test
  void onBundleEnd_ofAKilledExtensionIs13500004() throws Exception {
    try (BackupService service = embedded()) {
      Events events =
          new Events()
              .atBegin(
                  bundle -> {
                    service.updateSendRate(HIWORLD, 0);
                    assertTrue(Extensions.only(service).destroyForcibly());
                  });
      try (SessionBackup session = new SessionBackup(service, events)) {
        session.appendBundles(List.of(HIWORLD)).get();
        assertEquals(EXTENSION_DIED, events.await(Kind.END, HIWORLD).code());
        assertEquals(0, events.awaitAll().code());
      }
    }
  }

  // 13900001

  @Test
  void getBackupInfo_afterCloseIs13900001() throws Exception {
    BackupService service = embedded();
    service.close();
    assertEquals(NOT_PERMITTED, codeOf(() -> service.getBackupInfo(HIWORLD)));
  }

  @Test
  void backupAppendBundles_aSecondTimeIs13900001() throws Exception {
    try (BackupService service = embedded();
        SessionBackup session = new SessionBackup(service, silent())) {
      assertEquals(
          0, codeOf(() -> told(callback -> session.appendBundles(List.of(HIWORLD), callback))));
      assertEquals(
          NOT_PERMITTED,
          codeOf(() -> told(callback -> session.appendBundles(List.of(HIWORLD), callback))));
      assertEquals(NOT_PERMITTED, codeOf(() -> session.appendBundles(List.of(HIWORLD))));
      session.release().get();
      assertEquals(NOT_PERMITTED, codeOf(() -> session.appendBundles(List.of(HIWORLD))));
    }
  }

  @Test
  void restoreAppendBundles_aSecondTimeIs13900001() throws Exception {
    try (BackupService service = embedded();
        FileData capabilities = service.getLocalCapabilities().get();
        SessionRestore session = new SessionRestore(service, silent())) {
      Fd fd = capabilities.fd();
      List<String> bundles = List.of(HIWORLD);
      assertEquals(0, codeOf(() -> told(callback -> session.appendBundles(fd, bundles, callback))));
      assertEquals(
          NOT_PERMITTED,
          codeOf(() -> told(callback -> session.appendBundles(fd, bundles, callback))));
      assertEquals(NOT_PERMITTED, codeOf(() -> session.appendBundles(fd, bundles)));
      session.release().get();
      assertEquals(NOT_PERMITTED, codeOf(() -> session.appendBundles(fd, bundles)));
    }
  }

  @Test
  void incrementalAppendBundles_afterReleaseIs13900001() throws Exception {
    try (BackupService service = embedded();
        IncrementalBackupSession session = new IncrementalBackupSession(service, silent())) {
      session.release().get();
      assertEquals(
          NOT_PERMITTED,
          codeOf(
              () ->
                  session.appendBundles(List.of(IncrementalBackupData.builder(HIWORLD).build()))));
    }
  }

  @Test
  void getFileHandle_afterEverythingIsPublishedIs13900001() throws Exception {
    FileMeta late = new FileMeta(HIWORLD, "late.tar");
    try (BackupService service = embedded()) {
      Map<String, byte[]> files = backUp(service, List.of(HIWORLD)).files(HIWORLD);
      Events events = new Events();
      try (SessionRestore session = restoring(service, events, files)) {
        append(service, session, List.of(HIWORLD));
        publishAll(session, events, HIWORLD, files);
        assertEquals(NOT_PERMITTED, codeOf(() -> session.getFileHandle(late)));
        assertEquals(
            NOT_PERMITTED, codeOf(() -> told(callback -> session.getFileHandle(late, callback))));
        assertEquals(0, events.await(Kind.END, HIWORLD).code());
      }
    }
  }

  @Test
  void publishFile_ofAFileThatIsStillOpenIs13900001() throws Exception {
    FileMeta open = new FileMeta(HIWORLD, "open.tar");
    CompletableFuture<FileOutputStream> writer = new CompletableFuture<>();
    Events events = new Events().receive(file -> writer.complete(file.fd().newOutputStream()));
    try (BackupService service = embedded();
        SessionRestore session = new SessionRestore(service, events)) {
      append(service, session, List.of(HIWORLD));
      session.getFileHandle(open).get();
      try (FileOutputStream stillOpen = writer.get(30, TimeUnit.SECONDS)) {
        stillOpen.write(1);
        ExecutionException refused =
            assertThrows(ExecutionException.class, () -> session.publishFile(open).get());
        BackupException why = assertInstanceOf(BackupException.class, refused.getCause());
        assertEquals(NOT_PERMITTED, why.code());
        assertTrue(why.getMessage().contains("open.tar"), why.getMessage());
        assertEquals(
            NOT_PERMITTED, codeOf(() -> told(callback -> session.publishFile(open, callback))));
      }
      events.await(Kind.FILE, HIWORLD);
      assertEquals(0, codeOf(() -> session.publishFile(open)));
    }
  }

  /** As one has that is started just then, until it runs its own program. */
  @Test
  void publishFile_ofAFileThatAnotherProcessHasForAMomentIsTaken() throws Exception {
    BlockingQueue<FileOutputStream> others = new LinkedBlockingQueue<>();
    Events events =
        new Events()
            .receive(
                file -> {
                  try (Fd own = file.fd()) {
                    others.add(new FileOutputStream("/proc/self/fd/" + own.number()));
                  }
                });
    try (BackupService service = embedded();
        SessionRestore session = new SessionRestore(service, events)) {
      append(service, session, List.of(HIWORLD));
      for (int i = 0; i < 10; i++) { // for it may be gone before it is looked for
        FileMeta held = new FileMeta(HIWORLD, "held." + i + ".tar");
        session.getFileHandle(held).get();
        CompletableFuture<Void> published;
        try (FileOutputStream other = requireNonNull(others.poll(30, TimeUnit.SECONDS))) {
          published = session.publishFile(held);
          service.getBackupVersion(); // asked for later
          other.write(1);
        }
        published.get();
      }
    }
  }

  // 13900005

  @Test
  void onBundleBegin_ofABundleWhoseFileCannotBeReadIs13900005() throws Exception {
    makeUnreadable(HIWORLD);
    assertEquals(IO, beginOf(HIWORLD));
  }

  @Test
  void getBackupInfo_ofABundleWhoseFileCannotBeReadIs13900005() throws Exception {
    makeUnreadable(HIWORLD);
    try (BackupService service = embedded()) {
      assertEquals(IO, codeOf(() -> service.getBackupInfo(HIWORLD)));
    }
  }

  @Test
  void restoreAppendBundles_withACapabilityFileThatCannotBeReadIs13900005() throws Exception {
    List<String> bundles = List.of(HIWORLD);
    Path writable = Files.writeString(directory.resolve("writable"), "{\"bundleInfos\": []}");
    try (BackupService service = embedded();
        SessionRestore session = new SessionRestore(service, silent());
        Fd unreadable = Fd.open(UNREADABLE);
        Fd writeOnly = Fd.open(writable, StandardOpenOption.WRITE);
        Fd folder = Fd.open(directory)) {
      for (Fd capabilities : List.of(unreadable, writeOnly)) {
        assertEquals(IO, codeOf(() -> session.appendBundles(capabilities, bundles)));
        assertEquals(
            IO,
            codeOf(() -> told(callback -> session.appendBundles(capabilities, bundles, callback))));
      }
      assertEquals(INVALID, codeOf(() -> session.appendBundles(folder, bundles)));
      append(service, session, bundles); // nothing had begun
    }
  }

  @Test
  void incrementalAppendBundles_withAManifestThatCannotBeReadIs13900005() throws Exception {
    try (BackupService service = embedded();
        IncrementalBackupSession session = new IncrementalBackupSession(service, silent());
        Fd unreadable = Fd.open(UNREADABLE)) {
      IncrementalBackupData data =
          IncrementalBackupData.builder(HIWORLD).manifestFd(unreadable).build();
      assertEquals(IO, codeOf(() -> session.appendBundles(List.of(data))));
      assertEquals(
          0,
          codeOf(
              () ->
                  session.appendBundles(List.of(IncrementalBackupData.builder(HIWORLD).build()))));
    }
  }

  // 13900020

  @Test
  void onBundleBegin_ofABundleWhoseFileIsADirectoryIs13900020() throws Exception {
    Files.delete(device.bundleFile(HIWORLD));
    Files.createDirectory(device.bundleFile(HIWORLD));
    assertEquals(INVALID, beginOf(HIWORLD));
  }

  @Test
  void onBundleEnd_ofABackupWithAPathThatLeadsOutIs13900020() throws Exception {
    Files.write(sandbox.resolve("big.bin"), Device.bytes(100));
    device.configure("{\"packingLimit\": 99}");
    try (BackupService service = embedded()) {
      Map<String, byte[]> files = backUp(service, List.of(HIWORLD)).files(HIWORLD);
      String index = new String(files.get("manage.json"), StandardCharsets.UTF_8);
      files.put(
          "manage.json",
          index.replace("\"big.bin\"", "\".backup/big.bin\"").getBytes(StandardCharsets.UTF_8));
      Events events = new Events();
      try (SessionRestore session = restoring(service, events, files)) {
        append(service, session, List.of(HIWORLD));
        publishAll(session, events, HIWORLD, files);
        assertEquals(INVALID, events.await(Kind.END, HIWORLD).code());
      }
    }
  }

  @Test
  void getBackupInfo_ofAnUnknownBundleIs13900020() throws Exception {
    try (BackupService service = embedded()) {
      assertEquals(INVALID, codeOf(() -> service.getBackupInfo(UNKNOWN)));
      assertEquals(INVALID, codeOf(() -> service.getBackupInfo("../hiworld")));
      assertEquals(INVALID, codeOf(() -> service.getBackupInfo(absent())));
    }
  }

  @Test
  void getFileHandle_ofWhatIsNoFileIs13900020() throws Exception {
    try (BackupService service = embedded();
        SessionRestore session = new SessionRestore(service, silent())) {
      append(service, session, List.of(HIWORLD));
      for (FileMeta file :
          List.of(
              new FileMeta(HIWORLD, ""),
              new FileMeta(HIWORLD, "."),
              new FileMeta(HIWORLD, ".."),
              new FileMeta(MY_APP, "test.txt"),
              new FileMeta("../a", "test.txt"))) {
        assertEquals(INVALID, codeOf(() -> session.getFileHandle(file)), file.toString());
        assertEquals(
            INVALID,
            codeOf(() -> told(callback -> session.getFileHandle(file, callback))),
            file.toString());
      }
      assertEquals(INVALID, codeOf(() -> session.getFileHandle(absent())));
      assertEquals(0, codeOf(() -> session.getFileHandle(new FileMeta(HIWORLD, "test.txt"))));
    }
  }

  @Test
  void publishFile_ofAFileNeverAskedForIs13900020() throws Exception {
    Events events = new Events();
    try (BackupService service = embedded();
        SessionRestore session = new SessionRestore(service, events)) {
      append(service, session, List.of(HIWORLD));
      events.await(Kind.BEGIN, HIWORLD);
      for (FileMeta file :
          List.of(new FileMeta(HIWORLD, "never.tar"), new FileMeta(MY_APP, "test.txt"))) {
        assertEquals(INVALID, codeOf(() -> session.publishFile(file)));
        assertEquals(INVALID, codeOf(() -> told(callback -> session.publishFile(file, callback))));
      }
      assertEquals(0, codeOf(() -> session.getFileHandle(new FileMeta(HIWORLD, "test.txt"))));
    }
  }

  private void makeUnreadable(String bundle) throws IOException {
    Files.delete(device.bundleFile(bundle));
    Files.createSymbolicLink(device.bundleFile(bundle), UNREADABLE);
  }

  /** The code of a backup's onBundleBegin; no end follows, and the other bundle is backed up. */
  private int beginOf(String bundle) throws Exception {
    Files.writeString(device.addBundle(MY_APP).resolve("other.txt"), "other");
    Events events = new Events();
    try (BackupService service = embedded();
        SessionBackup session = new SessionBackup(service, events)) {
      session.appendBundles(List.of(bundle, MY_APP)).get();
      assertEquals(0, events.awaitAll().code());
      assertEquals(0, events.await(Kind.END, MY_APP).code());
      assertEquals(1, events.all(Kind.END).size(), events.notes().toString());
      Note begin = events.await(Kind.BEGIN, bundle);
      assertEquals(bundle, begin.error().bundleName());
      return begin.code();
    }
  }
}
