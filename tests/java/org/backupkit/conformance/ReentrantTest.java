package org.backupkit.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import org.backupkit.BackupService;
import org.backupkit.GeneralCallbacks;
import org.backupkit.IncrementalBackupTime;
import org.backupkit.SessionBackup;
import org.backupkit.SessionRestore;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What a listener may do inside each of its callbacks. */
class ReentrantTest extends OnDevice {
  private static final int WRONG_THREAD = -1;
  private static final String LAST = "onAllBundlesEnd";
  private static final List<String> CALLBACKS =
      List.of(
          "onBackupSizeReport",
          "onBundleBegin",
          "onFileReadyBatch",
          "onFileReady",
          "onResultReport",
          "onBundleEnd",
          LAST);

  /** Where callbacks run. */
  enum Place {
    OWN_THREAD,
    /** The one that brings the answers, which must not wait for any. */
    THEIR_THREAD
  }

  /** What is done in a callback, when it comes for the first time. */
  private interface Deed {
    void in(String callback, BackupService service, SessionBackup session) throws Throwable;
  }

  /** A session that is told everything, and does something each time. */
  private final class Run implements AutoCloseable {
    private final List<String> told = Collections.synchronizedList(new ArrayList<>());
    private final CountDownLatch known = new CountDownLatch(1);
    private final CountDownLatch ended = new CountDownLatch(1);
    private final BackupService service;
    private final SessionBackup session;

    Run(Place place, Deed deed) throws Exception {
      service = embedded();
      InvocationHandler handler =
          (proxy, method, arguments) -> {
            known.await();
            boolean isFirst = !told.contains(method.getName());
            told.add(method.getName());
            try {
              if (isFirst) {
                deed.in(method.getName(), service, session());
              }
              return InvocationHandler.invokeDefault(proxy, method, arguments);
            } finally {
              if (method.getName().equals(LAST)) {
                ended.countDown();
              }
            }
          };
      GeneralCallbacks callbacks =
          (GeneralCallbacks)
              Proxy.newProxyInstance(
                  getClass().getClassLoader(), new Class<?>[] {GeneralCallbacks.class}, handler);
      Executor direct = Runnable::run;
      session =
          place == Place.OWN_THREAD
              ? new SessionBackup(service, callbacks)
              : new SessionBackup(service, callbacks, direct);
      session.getBackupDataSize(true, List.of(new IncrementalBackupTime(HIWORLD, 0)));
      session.appendBundles(List.of(HIWORLD));
      known.countDown();
    }

    private SessionBackup session() {
      return session;
    }

    void awaitTheEnd() throws InterruptedException {
      assertTrue(ended.await(30, TimeUnit.SECONDS), told.toString());
    }

    @Override
    public void close() {
      session.close();
      service.close();
    }
  }

  @ParameterizedTest
  @EnumSource
  void callsAreAnsweredInEachCallback_orRefusedWhereNothingCouldAnswer(Place place)
      throws Exception {
    Map<String, Integer> codes = new ConcurrentHashMap<>();
    Map<String, Integer> expected = new TreeMap<>();
    CALLBACKS.forEach(name -> expected.put(name, place == Place.OWN_THREAD ? 0 : WRONG_THREAD));
    Deed deed =
        (callback, service, session) -> {
          session.getLocalCapabilities().thenAccept(data -> data.close());
          int asked = codeInside(service::getBackupVersion);
          assertEquals(asked, codeInside(() -> session.cancel(UNKNOWN)));
          codes.put(callback, asked);
        };
    try (Run run = new Run(place, deed)) {
      run.awaitTheEnd();
      assertEquals(expected, new TreeMap<>(codes));
    }
  }

  @ParameterizedTest
  @EnumSource
  void aNewSession_insideTheLastCallback(Place place) throws Exception {
    Map<String, Integer> codes = new ConcurrentHashMap<>();
    Deed deed =
        (callback, service, session) -> {
          if (callback.equals(LAST)) {
            var released = session.release();
            if (place == Place.OWN_THREAD) {
              released.get();
            }
            codes.put(callback, codeInside(() -> new SessionRestore(service, silent())));
          }
        };
    try (Run run = new Run(place, deed)) {
      run.awaitTheEnd();
      assertEquals(Map.of(LAST, place == Place.OWN_THREAD ? 0 : WRONG_THREAD), codes);
      run.session.release().get();
      // What was refused has not opened one behind the caller's back.
      assertEquals(0, codeOf(() -> new SessionRestore(run.service, silent())));
    }
  }

  @ParameterizedTest
  @EnumSource
  void closeInsideEachCallback(Place place) throws Exception {
    for (String where : CALLBACKS) {
      CountDownLatch closed = new CountDownLatch(1);
      Deed deed =
          (callback, service, session) -> {
            if (callback.equals(where)) {
              session.close();
              service.close();
              closed.countDown();
            }
          };
      try (Run run = new Run(place, deed)) {
        assertTrue(closed.await(30, TimeUnit.SECONDS), where);
        run.service.close(); // from here it waits
        assertFalse(ProcessHandle.of(run.service.servicePid()).isPresent(), where);
      }
    }
  }

  @Test
  void whateverEachCallbackThrows_theNextOnesCome() throws Exception {
    List<Throwable> thrown =
        List.of(new IllegalStateException("r"), new StackOverflowError("e"), new IOException("c"));
    List<Throwable> uncaught = Collections.synchronizedList(new ArrayList<>());
    Thread.UncaughtExceptionHandler old = Thread.getDefaultUncaughtExceptionHandler();
    Thread.setDefaultUncaughtExceptionHandler((thread, error) -> uncaught.add(error));
    try {
      for (Throwable error : thrown) {
        Deed deed =
            (callback, service, session) -> {
              throw error;
            };
        try (Run run = new Run(Place.OWN_THREAD, deed)) {
          run.awaitTheEnd();
          // A batch that was thrown away has given no file; a later one does.
          assertTrue(run.told.containsAll(List.of("onBundleBegin", "onBundleEnd")));
        }
      }
    } finally {
      Thread.setDefaultUncaughtExceptionHandler(old);
    }
    assertEquals(thrown.size(), uncaught.stream().map(ReentrantTest::cause).distinct().count());
  }

  /** A proxy wraps what its callback's interface does not declare. */
  private static Throwable cause(Throwable error) {
    return error.getCause() == null ? error : error.getCause();
  }

  private static int codeInside(Call call) throws Exception {
    try {
      return codeOf(call);
    } catch (IllegalStateException e) {
      return WRONG_THREAD;
    }
  }
}
