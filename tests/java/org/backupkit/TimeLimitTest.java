package org.backupkit;

import static org.backupkit.ShellHook.result;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
class TimeLimitTest {
  private static final String APP = "com.example.app";
  private static final String OTHER = "com.example.other";
  // Knows the call and does not answer it.
  private static final Map<String, String> HANGING = Map.of("onBackup", ":", "onRelease", "");

  @TempDir Path directory;
  private Device device;
  private Path sandbox;

  @BeforeEach
  void makeADevice() throws IOException {
    device = new Device(directory.resolve("device"));
    // Long enough for a busy machine to come to the phase that is meant.
    device.configure("{\"packingLimit\": 100, \"maxSendRate\": 0, \"idleLimit\": 2000}");
    sandbox = device.addBundle(APP);
    Files.writeString(sandbox.resolve("note.txt"), "note");
    Files.writeString(device.addBundle(OTHER).resolve("note.txt"), "another");
  }

  @Test
  void anAppThatDoesNotAnswerEndsItsBundleAndIsToldThatAllIsOver() throws Exception {
    ShellHook hook = ShellHook.add(device, APP, HANGING);
    Journal journal = new Journal();
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, journal)) {
      session.appendBundles(List.of(APP, OTHER)).get();
      journal.awaitAll();
    }
    assertTimedOut(journal.await(Kind.END, APP), "in phase 'app onBackup'", "idle for 2.");
    assertEquals(0, journal.await(Kind.END, OTHER).code());
    assertEquals(List.of("onBackup", "onRelease"), hook.calls());
  }

  @Test
  void anAppThatDoesNotGreetEndsItsBundle() throws Exception {
    ShellHook.add(device, APP, "while read -r line; do :; done; exit", Map.of());
    Journal journal = new Journal();
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, journal)) {
      session.appendBundles(List.of(APP)).get();
      assertTimedOut(journal.await(Kind.END, APP), "in phase 'app start'", "idle for 2.");
    }
  }

  @Test
  void anExtensionThatStandsStillEndsItsBundle() throws Exception {
    for (int i = 0; i < 200; i++) {
      Files.write(sandbox.resolve(i + ".bin"), Device.bytes(1000));
    }
    Holding journal = new Holding();
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, journal)) {
      session.appendBundles(List.of(APP)).get();
      assertTrue(journal.held.await(30, TimeUnit.SECONDS), "no file came");
      ProcessHandle extension = Extensions.of(service, sandbox);
      Tool.succeed("sh", "-c", "kill -STOP " + extension.pid());
      journal.goOn.countDown();
      Note end = journal.await(Kind.END, APP);
      assertTimedOut(end, "in phase 'pack' at '", "idle for 2.");
      assertFalse(end.message().contains("not taken"), end.message());
      assertFalse(extension.isAlive());
    }
    assertTrue(journal.of(Kind.FILE, APP).size() < 200);
  }

  @Test
  void aClientThatDoesNotTakeItsFilesEndsTheBundle() throws Exception {
    Files.write(sandbox.resolve("big.bin"), Device.bytes(1000));
    Holding journal = new Holding();
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, journal)) {
      session.appendBundles(List.of(APP)).get();
      assertTrue(journal.held.await(30, TimeUnit.SECONDS), "no file came");
      Extensions.only(service).onExit().get(30, TimeUnit.SECONDS);
      journal.goOn.countDown();
      assertTimedOut(
          journal.await(Kind.END, APP),
          "in phase 'send'",
          "idle for 2.",
          "files that the client has not taken: 2");
    }
  }

  @Test
  void aRestoreForWhichNothingIsDoneEnds() throws Exception {
    Journal journal = new Journal();
    try (BackupService service = BackupService.embedded(device.root());
        FileData capabilities = service.getLocalCapabilities().get();
        SessionRestore session = new SessionRestore(service, journal)) {
      session.appendBundles(capabilities.fd(), List.of(APP)).get();
      assertTimedOut(journal.await(Kind.END, APP), "in phase 'receive'", "idle for 2.");
    }
  }

  @Test
  void timeAtRate0DoesNotCount() throws Exception {
    ShellHook.add(device, OTHER, HANGING);
    try (BackupService service = BackupService.embedded(device.root())) {
      Journal journal = pausingAtBegin(service);
      SessionBackup session = new SessionBackup(service, journal);
      session.appendBundles(List.of(APP, OTHER)).get();
      // The other one's time ends, which is as long and begins no earlier.
      assertTimedOut(journal.await(Kind.END, OTHER), "app onBackup");
      assertEquals(List.of(), journal.of(Kind.END, APP));
      assertTrue(service.updateSendRate(APP, 800));
      assertEquals(0, journal.await(Kind.END, APP).code());
      session.close();
    }
  }

  @Test
  void updateTimer0EndsTheBundleNow() throws Exception {
    ShellHook hook = ShellHook.add(device, APP, HANGING);
    device.configure("{}");
    Journal journal = new Journal();
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, journal)) {
      session.appendBundles(List.of(APP)).get();
      journal.await(Kind.BEGIN, APP);
      assertTrue(service.updateTimer(APP, 0));
      assertTimedOut(journal.await(Kind.END, APP), "reached its time limit of 0 ms");
      journal.awaitAll();
    }
    // It may not even have been greeted.
    assertTrue(List.of("onBackup", "onRelease").containsAll(hook.calls()), hook.calls().toString());
  }

  @Test
  void updateTimer_isALimitInPlaceOfTheOneOnIdleness() throws Exception {
    ShellHook.add(device, APP, HANGING);
    ShellHook.add(device, OTHER, HANGING);
    Journal journal = new Journal();
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, journal)) {
      session.appendBundles(List.of(APP, OTHER)).get();
      journal.await(Kind.BEGIN, APP);
      assertTrue(service.updateTimer(APP, 1));
      // Soon enough: it ends in a turn of its own. Or it has ended, and nothing is to be said.
      if (service.updateTimer(APP, 14_400_000)) {
        assertTimedOut(journal.await(Kind.END, OTHER), "made no progress");
        assertEquals(List.of(), journal.of(Kind.END, APP));
        assertTrue(service.updateTimer(APP, 50));
        assertTimedOut(journal.await(Kind.END, APP), "reached its time limit of 50 ms");
      }
    }
  }

  @Test
  void aLimitCountsFromItsCallAndNoProgressMovesIt() throws Exception {
    ShellHook.add(device, APP, HANGING);
    Journal journal = new Journal();
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, journal)) {
      session.appendBundles(List.of(APP)).get();
      journal.await(Kind.BEGIN, APP);
      long start = System.nanoTime();
      assertTrue(service.updateTimer(APP, 300));
      Note end = journal.await(Kind.END, APP);
      assertTimedOut(end, "reached its time limit of 300 ms");
      assertTrue(end.time() - start >= TimeUnit.MILLISECONDS.toNanos(300));
    }
  }

  @Test
  void updateTimer_isTrueOnlyBetweenBeginAndEndOfABundleOfTheSession() throws Exception {
    ShellHook.add(device, APP, HANGING);
    Journal journal = new Journal();
    try (BackupService service = BackupService.embedded(device.root())) {
      assertFalse(service.updateTimer(APP, 1000), "without a session");
      try (SessionBackup session = new SessionBackup(service, journal)) {
        assertFalse(service.updateTimer(APP, 1000), "before it was appended");
        session.appendBundles(List.of(APP)).get();
        journal.await(Kind.BEGIN, APP);
        assertFalse(service.updateTimer(OTHER, 1000), "not of this session");
        assertTrue(service.updateTimer(APP, 14_400_000));
        for (int outside : List.of(-1, 14_400_001)) {
          BackupException refused =
              assertThrows(BackupException.class, () -> service.updateTimer(APP, outside));
          assertSame(ErrorCode.PARAMETER, refused.error());
        }
        assertTrue(service.updateTimer(APP, 0));
        journal.awaitAll();
        assertFalse(service.updateTimer(APP, 1000), "after its end");
      }
      Journal restoring = new Journal();
      try (FileData capabilities = service.getLocalCapabilities().get();
          SessionRestore session = new SessionRestore(service, restoring)) {
        session.appendBundles(capabilities.fd(), List.of(APP)).get();
        restoring.await(Kind.BEGIN, APP);
        assertTrue(service.updateTimer(APP, 0), "a restore's bundle has a time, too");
        assertTimedOut(restoring.await(Kind.END, APP), "reached its time limit");
      }
    }
  }

  @Test
  void onReleaseHasFiveSecondsWhateverTheBundlesTime() throws Exception {
    Path fifo = directory.resolve("fifo");
    Tool.succeed("mkfifo", fifo.toString());
    ShellHook.add(
        device,
        APP,
        Map.of(
            "onBackup",
            result(""),
            "onRelease",
            "echo >'" + fifo + "'; read -r x <'" + fifo + "'"));
    device.letHook(APP, "writes", fifo);
    Journal journal = new Journal();
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, journal)) {
      session.appendBundles(List.of(APP)).get();
      Files.readString(fifo); // until it is asked to release
      assertTrue(service.updateTimer(APP, 0));
      assertEquals(ErrorCode.CANCEL_NOT_FOUND.code(), session.cancel(APP));
      assertEquals(List.of(), journal.of(Kind.END, APP));
      Files.writeString(fifo, "\n");
      // All of it was handed over before: what comes after the result does not change it.
      assertEquals(0, journal.await(Kind.END, APP).code());
    }
  }

  @Test
  void anOnReleaseThatDoesNotEndIsKilledAfterFiveSeconds() throws Exception {
    Path pid = Files.createFile(directory.resolve("pid"));
    ShellHook.add(
        device,
        APP,
        Map.of("onBackup", "echo $$ >'" + pid + "'; " + result(""), "onRelease", "sleep 600"));
    device.letHook(APP, "writes", pid);
    Journal journal = new Journal();
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, journal)) {
      long start = System.nanoTime();
      session.appendBundles(List.of(APP)).get();
      Note end = journal.await(Kind.END, APP);
      assertEquals(0, end.code(), end.message());
      assertTrue(end.time() - start >= TimeUnit.SECONDS.toNanos(5));
      assertFalse(
          ProcessHandle.of(Long.parseLong(Files.readString(pid).strip()))
              .map(ProcessHandle::isAlive)
              .orElse(false));
    }
  }

  private static Journal pausingAtBegin(BackupService service) {
    return new Journal() {
      @Override
      public void onBundleBegin(@Nullable BackupException error, String bundleName) {
        try {
          assertTrue(!bundleName.equals(APP) || service.updateSendRate(APP, 0));
        } catch (BackupException e) {
          throw new IllegalStateException(e);
        }
        super.onBundleBegin(error, bundleName);
      }
    };
  }

  private static void assertTimedOut(Note end, String... parts) {
    assertEquals(ErrorCode.TIMED_OUT.code(), end.code(), end.toString());
    for (String part : parts) {
      assertTrue(end.message().contains(part), end.message());
    }
  }
}
