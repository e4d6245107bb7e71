package org.backupkit.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.backupkit.BackupException;
import org.backupkit.BackupService;
import org.backupkit.Fd;
import org.backupkit.FileMeta;
import org.backupkit.IncrementalBackupData;
import org.backupkit.IncrementalBackupSession;
import org.backupkit.SessionBackup;
import org.backupkit.SessionRestore;
import org.backupkit.Tool;
import org.junit.jupiter.api.Test;

/** Everything that can be called, once it was closed, and while it is. */
class ClosedTest extends OnDevice {
  private static final String CAPABILITIES = "{\"bundleInfos\": []}";

  /** Makes a session and says what can be called. */
  private interface Opener {
    Session open(BackupService service) throws Exception;
  }

  private record Session(Map<String, Call> calls, Call release, AutoCloseable close) {}

  private Session backup(BackupService service) throws BackupException {
    SessionBackup session = new SessionBackup(service, silent());
    return new Session(EveryCall.of(session), session::release, session::close);
  }

  private Session incremental(BackupService service) throws BackupException {
    IncrementalBackupSession session = new IncrementalBackupSession(service, silent());
    return new Session(EveryCall.of(session), session::release, session::close);
  }

  private Session restore(BackupService service, Fd file) throws BackupException {
    SessionRestore session = new SessionRestore(service, silent());
    return new Session(EveryCall.of(session, file), session::release, session::close);
  }

  /** Does something with each kind of session. */
  private void withEach(Use use) throws Exception {
    use.of(this::backup);
    use.of(this::incremental);
    try (Fd file = file("capabilities", CAPABILITIES)) {
      use.of(service -> restore(service, file));
    }
  }

  private interface Use {
    void of(Opener opener) throws Exception;
  }

  @Test
  void theTablesHaveEveryMethod() throws Exception {
    try (BackupService service = embedded();
        Fd file = file("capabilities", CAPABILITIES)) {
      assertEquals(
          EveryCall.methodsOf(BackupService.class, "servicePid()", "isAlive()", "close()"),
          EveryCall.of(service).keySet());
      try (SessionBackup session = new SessionBackup(service, silent())) {
        assertEquals(methodsOf(SessionBackup.class), EveryCall.of(session).keySet());
      }
      try (SessionRestore session = new SessionRestore(service, silent())) {
        assertEquals(methodsOf(SessionRestore.class), EveryCall.of(session, file).keySet());
      }
      try (IncrementalBackupSession session = new IncrementalBackupSession(service, silent())) {
        assertEquals(methodsOf(IncrementalBackupSession.class), EveryCall.of(session).keySet());
      }
    }
  }

  private static Set<String> methodsOf(Class<?> session) {
    return EveryCall.methodsOf(session, "release()", "close()");
  }

  @Test
  void everyCallOfAClosedSession_isRefused() throws Exception {
    withEach(
        opener -> {
          try (BackupService service = embedded()) {
            Session session = opener.open(service);
            session.close().close();
            assertRefused(session);
          }
        });
  }

  @Test
  void everyCallOfAClosedService_isRefused_alsoOfItsSession() throws Exception {
    withEach(
        opener -> {
          BackupService service = embedded();
          Session session = opener.open(service);
          service.close();
          assertAll(NOT_PERMITTED, EveryCall.of(service));
          assertEquals(NOT_PERMITTED, codeOf(() -> opener.open(service)));
          assertRefused(session);
          assertFalse(service.isAlive());
          assertTrue(service.servicePid() > 0);
          service.close();
        });
  }

  @Test
  void everyMethodOfAClosedDescriptor_isRefused() throws Exception {
    Path path = Files.writeString(directory.resolve("other"), "other");
    Fd closed = file("closed", "text");
    closed.close();
    try (Fd open = file("open", "text")) {
      Map<String, Call> calls = new TreeMap<>();
      calls.put("number()", closed::number);
      calls.put("detach()", closed::detach);
      calls.put("size()", closed::size);
      calls.put("transferTo(Fd)", () -> closed.transferTo(open));
      calls.put("copyTo(Path)", () -> closed.copyTo(path));
      calls.put("copyFrom(Path)", () -> closed.copyFrom(path));
      calls.put("completeFrom(Path)", () -> closed.completeFrom(path));
      calls.put("readAllBytes()", closed::readAllBytes);
      calls.put("newInputStream()", closed::newInputStream);
      calls.put("newOutputStream()", closed::newOutputStream);
      calls.put("newByteChannel()", closed::newByteChannel);
      assertEquals(EveryCall.methodsOf(Fd.class, "isOpen()", "close()"), calls.keySet());
      for (Map.Entry<String, Call> call : calls.entrySet()) {
        assertThrows(IllegalStateException.class, call.getValue()::run, call.getKey());
      }
      assertThrows(IllegalStateException.class, () -> open.transferTo(closed));
    }
    assertFalse(closed.isOpen());
    assertEquals("other", Files.readString(path));
  }

  @Test
  void aClosedDescriptor_isRefusedAtOnce() throws Exception {
    Fd closed = file("capabilities", CAPABILITIES);
    closed.close();
    IncrementalBackupData data = IncrementalBackupData.builder(HIWORLD).manifestFd(closed).build();
    try (BackupService service = embedded()) {
      try (SessionRestore session = new SessionRestore(service, silent())) {
        assertClosed(() -> session.appendBundles(closed, List.of(HIWORLD)));
        assertClosed(() -> session.giveFile(new FileMeta(HIWORLD, "a.txt"), closed));
        append(service, session, List.of(HIWORLD)); // nothing had begun
      }
      try (IncrementalBackupSession session = new IncrementalBackupSession(service, silent())) {
        assertClosed(() -> session.appendBundles(List.of(data)));
      }
    }
  }

  @Test
  void closeOfTheService_endsEveryCallThatWaits() throws Exception {
    withEach(
        opener -> {
          BackupService service = embedded();
          Session session = opener.open(service);
          signal("STOP", service);
          Map<String, Waiting> waiting = start(EveryCall.of(service));
          waiting.putAll(start(session.calls()));
          waiting.put("constructor", new Waiting(() -> opener.open(service)));
          waiting.values().forEach(Waiting::awaitTheWait);
          Waiting released = new Waiting(session.release());
          Waiting closed = new Waiting(closing(session.close()));
          Waiting close = new Waiting(closing(service));
          for (Map.Entry<String, Waiting> call : waiting.entrySet()) {
            // A second appendBundles was refused at once.
            int code = call.getValue().code();
            assertTrue(code == IPC || code == NOT_PERMITTED, call.getKey() + " gave " + code);
          }
          assertEquals(0, released.code());
          assertEquals(0, closed.code());
          signal("CONT", service);
          assertEquals(0, close.code());
        });
  }

  @Test
  void anInterrupt_doesNotEndACall_andIsKept() throws Exception {
    BackupService service = embedded();
    SessionBackup session = new SessionBackup(service, silent());
    signal("STOP", service);
    Map<String, Integer> expected = new TreeMap<>();
    Map<String, Call> blocking = new TreeMap<>();
    EveryCall.of(service)
        .forEach(
            (name, call) -> {
              if (!name.startsWith("getLocalCapabilities")) {
                blocking.put(name, call);
              }
            });
    blocking.put("constructor", () -> new SessionRestore(service, silent()));
    blocking.put("cancel", () -> session.cancel(HIWORLD));
    blocking.keySet().forEach(name -> expected.put(name, 0));
    expected.put("constructor", SESSION_CONFLICT);
    Map<String, Waiting> waiting = start(blocking);
    waiting.values().forEach(Waiting::awaitTheWait);
    waiting.put("close", new Waiting(closing(session::close)));
    expected.put("close", 0);
    waiting.values().forEach(Waiting::awaitTheWait);
    waiting.values().forEach(Waiting::interrupt);
    waiting.values().forEach(Waiting::awaitTheWait);
    signal("CONT", service);
    for (Map.Entry<String, Waiting> call : waiting.entrySet()) {
      assertEquals(expected.get(call.getKey()), call.getValue().code(), call.getKey());
      assertTrue(call.getValue().wasInterrupted(), call.getKey());
    }
    signal("STOP", service);
    Waiting close = new Waiting(closing(service));
    close.awaitTheWait();
    close.interrupt();
    close.awaitTheWait();
    signal("CONT", service);
    assertEquals(0, close.code());
    assertTrue(close.wasInterrupted());
  }

  @Test
  void manyThreadsMayCloseAtOnce() throws Exception {
    withEach(
        opener -> {
          BackupService service = embedded();
          Session session = opener.open(service);
          signal("STOP", service);
          Map<String, Waiting> closing = new TreeMap<>();
          for (int i = 0; i < 4; i++) {
            closing.put("session " + i, new Waiting(closing(session.close())));
            closing.put("service " + i, new Waiting(closing(service)));
          }
          signal("CONT", service);
          for (Map.Entry<String, Waiting> close : closing.entrySet()) {
            assertEquals(0, close.getValue().code(), close.getKey());
          }
          assertFalse(ProcessHandle.of(service.servicePid()).isPresent());
        });
  }

  private static void assertRefused(Session session) throws Exception {
    assertAll(NOT_PERMITTED, session.calls());
    assertEquals(0, codeOf(session.release()));
    session.close().close();
  }

  private static void assertAll(int code, Map<String, Call> calls) throws Exception {
    for (Map.Entry<String, Call> call : calls.entrySet()) {
      assertEquals(code, codeOf(call.getValue()), call.getKey());
    }
  }

  private static void assertClosed(Call call) {
    assertThrows(IllegalStateException.class, call::run);
  }

  private static void signal(String name, BackupService service) throws Exception {
    Tool.succeed("sh", "-c", "kill -" + name + " " + service.servicePid());
  }

  private static Call closing(AutoCloseable open) {
    return () -> {
      open.close();
      return 0;
    };
  }

  private static Map<String, Waiting> start(Map<String, Call> calls) {
    Map<String, Waiting> started = new TreeMap<>();
    calls.forEach((name, call) -> started.put(name, new Waiting(call)));
    return started;
  }

  /** A call on a thread of its own. */
  private static final class Waiting {
    private final FutureTask<Integer> task;
    private final Thread thread;
    private volatile boolean interrupted;

    Waiting(Call call) {
      task =
          new FutureTask<>(
              () -> {
                int code = codeOf(call);
                interrupted = Thread.interrupted();
                return code;
              });
      thread = new Thread(task, "waiting");
      thread.start();
    }

    /** Until it waits for an answer, or for the end of the service, or has what it waits for. */
    void awaitTheWait() {
      while (thread.isAlive() && !waits()) {
        Thread.onSpinWait();
      }
    }

    private boolean waits() {
      Thread.State state = thread.getState();
      StackTraceElement[] stack = thread.getStackTrace();
      return state == Thread.State.WAITING
          || state == Thread.State.TIMED_WAITING
          || stack.length > 0 && stack[0].getMethodName().equals("destroy");
    }

    void interrupt() {
      thread.interrupt();
    }

    int code() throws Exception {
      return task.get(30, TimeUnit.SECONDS);
    }

    boolean wasInterrupted() {
      return interrupted;
    }
  }
}
