package org.backupkit.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.stream.Stream;
import org.backupkit.BackupService;
import org.backupkit.SessionBackup;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What nobody closed and nobody can reach. */
class LostTest extends OnDevice {
  private static final int COLLECTIONS = 200;

  private final Queue<LogRecord> logged = new ConcurrentLinkedQueue<>();
  private final Logger logger = Logger.getLogger("org.backupkit");
  private final Handler handler =
      new Handler() {
        @Override
        public void publish(LogRecord entry) {
          logged.add(entry);
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
      };

  @BeforeEach
  void listen() {
    logger.addHandler(handler);
  }

  @AfterEach
  void leave() {
    logger.removeHandler(handler);
  }

  @Test
  void aServiceWithASession_isClosedAndReportedWithThePlaceWhereItWasMade() throws Exception {
    ProcessHandle process = ProcessHandle.of(loseAService()).orElseThrow();
    assertTrue(endsByCollection(process));
    List<LogRecord> entries =
        reports("service").stream().filter(entry -> tellsOf(entry, "loseAService")).toList();
    assertEquals(1, entries.size());
  }

  @Test
  void aServiceThatWasClosed_isNotReported() throws Exception {
    embedded().close();
    for (int i = 0; i < 10; i++) {
      System.gc();
    }
    assertEquals(List.of(), reports("service"));
  }

  @Test
  void aBackupUnderWay_goesOnThoughNobodyHoldsItsSession() throws Exception {
    CountDownLatch goOn = new CountDownLatch(1);
    Events events = new Events().atBegin(bundle -> goOn.await());
    ProcessHandle process = ProcessHandle.of(loseASessionAtWork(events)).orElseThrow();
    for (int i = 0; i < 10; i++) {
      System.gc();
    }
    goOn.countDown();
    assertEquals(0, events.awaitAll().code());
    assertTrue(endsByCollection(process));
  }

  @Test
  void aDescriptor_isClosedAndReportedWithWhatItIsOf() throws Exception {
    Path entry = Path.of("/proc/self/fd", String.valueOf(loseADescriptor()));
    Path path = directory.resolve("lost");
    for (int i = 0; i < COLLECTIONS && reports("descriptor").isEmpty(); i++) {
      System.gc();
    }
    assertEquals(
        List.of(path.toString()),
        reports("descriptor").stream().map(report -> report.getParameters()[1]).toList());
    for (int i = 0; i < COLLECTIONS && isOf(entry, path); i++) {
      System.gc(); // it is reported before
    }
    assertFalse(isOf(entry, path));
  }

  /** Whether it ends. What the garbage collector has found is closed between its stops. */
  private static boolean endsByCollection(ProcessHandle process) {
    for (int i = 0; i < COLLECTIONS && process.isAlive(); i++) {
      System.gc();
      process.onExit().completeOnTimeout(process, 100, TimeUnit.MILLISECONDS).join();
    }
    return !process.isAlive();
  }

  private static boolean isOf(Path descriptor, Path path) {
    try {
      return Files.readSymbolicLink(descriptor).equals(path);
    } catch (IOException e) {
      return false;
    }
  }

  private long loseAService() throws Exception {
    BackupService service = embedded();
    assertEquals(0, codeOf(service::getBackupVersion));
    new SessionBackup(service, silent()).getLocalCapabilities().get().close();
    return service.servicePid();
  }

  private long loseASessionAtWork(Events events) throws Exception {
    BackupService service = embedded();
    new SessionBackup(service, events).appendBundles(List.of(HIWORLD)).get();
    return service.servicePid();
  }

  private int loseADescriptor() throws Exception {
    return file("lost", "text").number();
  }

  private static boolean tellsOf(LogRecord entry, String place) {
    return Stream.of(entry.getThrown().getStackTrace())
        .anyMatch(frame -> frame.getMethodName().equals(place));
  }

  private List<LogRecord> reports(String what) {
    return logged.stream().filter(entry -> entry.getMessage().contains(what)).toList();
  }
}
