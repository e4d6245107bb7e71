package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class ServiceTest {
  private static final String BUNDLE = "com.example.notes";

  @TempDir Path directory;
  private Path root;
  private Path sandbox;

  @BeforeEach
  void makeADevice() throws IOException {
    root = directory.resolve("device");
    sandbox = root.resolve("data/notes");
    Path bundles = Files.createDirectories(root.resolve("etc/backupkit/bundles"));
    Files.createDirectories(sandbox.resolve("data/storage/el2/base/files/deep"));
    Files.createDirectories(sandbox.resolve("data/storage/el2/base/files/empty"));
    Files.writeString(
        bundles.resolve(BUNDLE + ".json"),
        """
        {"name": "%s", "versionCode": 3, "versionName": "1.2", "sandbox": "%s",
         "backup": {"allowToBackupRestore": true, "includes": ["data/"]}}
        """
            .formatted(BUNDLE, sandbox));
    Path files = sandbox.resolve("data/storage/el2/base/files");
    Files.writeString(files.resolve("note.txt"), "first note");
    Files.writeString(files.resolve("deep/other.txt"), "second note");
    Files.write(files.resolve("big.bin"), Device.bytes(5_000_000));
    Files.createSymbolicLink(files.resolve("link"), Path.of("note.txt"));
  }

  @Test
  void theServiceSaysWhoItIs() throws Exception {
    try (BackupService service = BackupService.embedded(root)) {
      assertTrue(service.isAlive());
      assertTrue(ProcessHandle.of(service.servicePid()).orElseThrow().isAlive());
      try (FileData capabilities = service.getLocalCapabilities().get()) {
        String json = new String(capabilities.fd().readAllBytes(), StandardCharsets.UTF_8);
        assertTrue(json.contains(BUNDLE), json);
      }
      CompletableFuture<String> called = new CompletableFuture<>();
      service.getLocalCapabilities(
          (error, data) -> {
            if (data != null) {
              data.close();
            }
            called.complete(error == null ? Thread.currentThread().getName() : error.getMessage());
          });
      assertEquals("backupkit-service", called.get());
    }
  }

  @Test
  void closeEndsTheServiceAndEveryCallAfterItIsRefused() throws Exception {
    BackupService service = BackupService.embedded(root);
    ProcessHandle process = ProcessHandle.of(service.servicePid()).orElseThrow();
    SessionBackup session = new SessionBackup(service, new Recorder());
    service.close();
    service.close();
    assertFalse(service.isAlive());
    assertFalse(process.isAlive());
    assertCode(ErrorCode.NOT_PERMITTED, session.appendBundles(List.of(BUNDLE)));
    assertCode(ErrorCode.NOT_PERMITTED, service.getLocalCapabilities());
    session.close();
  }

  @Test
  void whatWasBackedUpIsRestored() throws Exception {
    Map<String, String> before = tree(sandbox);
    Path store = Files.createDirectories(directory.resolve("store"));
    try (BackupService service = BackupService.embedded(root)) {
      backup(service, store);
      assertTrue(Files.exists(store.resolve("manage.json")));

      Path files = sandbox.resolve("data/storage/el2/base/files");
      Files.delete(files.resolve("deep/other.txt"));
      Files.delete(files.resolve("link"));
      Files.writeString(files.resolve("note.txt"), "changed");
      Files.write(files.resolve("big.bin"), new byte[10]);

      restore(service, store);
    }
    assertEquals(before, tree(sandbox));
  }

  @Test
  void aSecondSessionIsRefusedUntilTheFirstIsReleased() throws Exception {
    try (BackupService service = BackupService.embedded(root)) {
      SessionBackup first = new SessionBackup(service, new Recorder());
      BackupException conflict =
          assertThrows(
              BackupException.class, () -> new SessionRestore(service, new Recorder()).close());
      assertSame(ErrorCode.SESSION_CONFLICT, conflict.error());
      first.release().get();
      first.release().get();
      first.close();
      new SessionRestore(service, new Recorder()).close();
    }
  }

  @Test
  void anUnknownBundleIsRefusedAtItsBegin() throws Exception {
    Recorder recorder = new Recorder();
    try (BackupService service = BackupService.embedded(root);
        SessionBackup session = new SessionBackup(service, recorder)) {
      session.appendBundles(List.of("com.example.unknown")).get();
      assertEquals("begin com.example.unknown 13500001", recorder.next());
      assertEquals("all 0", recorder.next());
    }
  }

  @Test
  void argumentsAreCheckedBeforeAnythingBegins() throws Exception {
    try (BackupService service = BackupService.embedded(root);
        SessionBackup session = new SessionBackup(service, new Recorder())) {
      assertCode(ErrorCode.INVALID_ARGUMENT, session.appendBundles(List.of()));
      assertCode(ErrorCode.INVALID_ARGUMENT, session.appendBundles(List.of("../a")));
      assertCode(ErrorCode.INVALID_ARGUMENT, session.appendBundles(List.of(BUNDLE), List.of("[]")));
      session.appendBundles(List.of(BUNDLE), List.of("{} // comment")).get();
      assertCode(ErrorCode.NOT_PERMITTED, session.appendBundles(List.of(BUNDLE)));
      session.release().get();
      assertCode(ErrorCode.NOT_PERMITTED, session.appendBundles(List.of(BUNDLE)));
    }
  }

  @Test
  void capabilitiesThatAreNoneAreRefusedAndMayBeGivenAgain() throws Exception {
    Path junk = Files.writeString(directory.resolve("junk"), "not json");
    Recorder recorder = new Recorder();
    try (BackupService service = BackupService.embedded(root);
        SessionRestore session = new SessionRestore(service, recorder)) {
      try (Fd fd = Fd.open(junk)) {
        assertCode(ErrorCode.INVALID_ARGUMENT, session.appendBundles(fd, List.of(BUNDLE)));
      }
      try (FileData capabilities = service.getLocalCapabilities().get()) {
        session.appendBundles(capabilities.fd(), List.of(BUNDLE)).get();
      }
      assertEquals("begin " + BUNDLE + " 0", recorder.next());
      assertCode(
          ErrorCode.INVALID_ARGUMENT, session.getFileHandle(new FileMeta(BUNDLE, "../evil")));
      assertCode(ErrorCode.INVALID_ARGUMENT, session.getFileHandle(new FileMeta(BUNDLE, "")));
    }
  }

  @Test
  void capabilitiesThatCannotBeReadAreAnIoErrorAndMayBeGivenAgain() throws Exception {
    try (BackupService service = BackupService.embedded(root);
        SessionRestore session = new SessionRestore(service, new Recorder())) {
      try (Fd unreadable = Fd.open(Path.of("/proc/self/mem"))) {
        assertCode(ErrorCode.IO, session.appendBundles(unreadable, List.of(BUNDLE)));
        assertCode(ErrorCode.IO, session.appendBundles(unreadable, List.of(BUNDLE)));
      }
      try (FileData capabilities = service.getLocalCapabilities().get()) {
        session.appendBundles(capabilities.fd(), List.of(BUNDLE)).get();
      }
    }
  }

  @Test
  void nullCallbacksAre401() throws Exception {
    try (BackupService service = BackupService.embedded(root)) {
      BackupException failure =
          assertThrows(BackupException.class, () -> new SessionBackup(service, absent()).close());
      assertSame(ErrorCode.PARAMETER, failure.error());
    }
  }

  @Test
  void aKilledServiceIsToldOnceAndFailsWhatFollows() throws Exception {
    AtomicInteger died = new AtomicInteger();
    CountDownLatch told = new CountDownLatch(1);
    GeneralCallbacks callbacks =
        new GeneralCallbacks() {
          @Override
          public void onBackupServiceDied() {
            died.incrementAndGet();
            told.countDown();
          }
        };
    try (BackupService service = BackupService.embedded(root)) {
      SessionBackup session = new SessionBackup(service, callbacks);
      assertTrue(ProcessHandle.of(service.servicePid()).orElseThrow().destroyForcibly());
      assertTrue(told.await(30, TimeUnit.SECONDS));
      assertFalse(service.isAlive());
      assertCode(ErrorCode.IPC, session.appendBundles(List.of(BUNDLE)));
      assertCode(ErrorCode.IPC, service.getLocalCapabilities());
      session.close();
    }
    assertEquals(1, died.get());
  }

  @Test
  void aReleasedSessionLeavesNoThread() throws Exception {
    try (BackupService service = BackupService.embedded(root)) {
      CountDownLatch ended = new CountDownLatch(1);
      AtomicReference<Thread> listener = new AtomicReference<>();
      GeneralCallbacks callbacks =
          new GeneralCallbacks() {
            @Override
            public void onAllBundlesEnd(@Nullable BackupException error) {
              listener.set(Thread.currentThread());
              ended.countDown();
            }
          };
      try (SessionBackup session = new SessionBackup(service, callbacks)) {
        session.appendBundles(List.of(BUNDLE)).get();
        assertTrue(ended.await(30, TimeUnit.SECONDS));
      }
      listener.get().join(5_000);
      assertFalse(listener.get().isAlive());
    }
  }

  @Test
  void aThrowingListenerLosesItsFileOnly() throws Exception {
    AtomicReference<BackupFile> thrownAway = new AtomicReference<>();
    AtomicInteger uncaught = new AtomicInteger();
    CountDownLatch ended = new CountDownLatch(1);
    Thread.UncaughtExceptionHandler old = Thread.getDefaultUncaughtExceptionHandler();
    Thread.setDefaultUncaughtExceptionHandler((thread, error) -> uncaught.incrementAndGet());
    try (BackupService service = BackupService.embedded(root);
        SessionBackup session =
            new SessionBackup(
                service,
                new GeneralCallbacks() {
                  @Override
                  public void onFileReady(
                      @Nullable BackupException error, @Nullable BackupFile file) {
                    thrownAway.set(file);
                    throw new IllegalStateException("listener");
                  }

                  @Override
                  public void onAllBundlesEnd(@Nullable BackupException error) {
                    ended.countDown();
                  }
                })) {
      session.appendBundles(List.of(BUNDLE)).get();
      assertTrue(ended.await(30, TimeUnit.SECONDS));
      assertFalse(thrownAway.get().fd().isOpen());
      assertTrue(uncaught.get() >= 3, "part, big file and manage.json: " + uncaught.get());
    } finally {
      Thread.setDefaultUncaughtExceptionHandler(old);
    }
  }

  @Test
  void closeInsideACallbackDoesNotWait() throws Exception {
    CountDownLatch closed = new CountDownLatch(1);
    AtomicReference<SessionBackup> self = new AtomicReference<>();
    CountDownLatch known = new CountDownLatch(1);
    try (BackupService service = BackupService.embedded(root)) {
      self.set(
          new SessionBackup(
              service,
              new GeneralCallbacks() {
                @Override
                public void onBundleBegin(@Nullable BackupException error, String bundleName) {
                  try {
                    known.await();
                  } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                  }
                  self.get().close();
                  closed.countDown();
                }
              }));
      self.get().appendBundles(List.of(BUNDLE)).get();
      known.countDown();
      assertTrue(closed.await(30, TimeUnit.SECONDS));
      self.get().release().get();
      new SessionBackup(service, new Recorder()).close();
    }
  }

  @Test
  void noDescriptorIsLeftBehind() throws Exception {
    Path store = Files.createDirectories(directory.resolve("store"));
    try (BackupService service = BackupService.embedded(root)) {
      backup(service, store); // loads whatever is loaded once
    }
    long before = descriptors();
    for (int i = 0; i < 3; i++) {
      try (BackupService service = BackupService.embedded(root)) {
        backup(service, store);
        restore(service, store);
      }
    }
    assertEquals(before, descriptors());
  }

  private static void backup(BackupService service, Path store) throws Exception {
    Recorder recorder = new Recorder(store);
    try (SessionBackup session = new SessionBackup(service, recorder)) {
      session.appendBundles(List.of(BUNDLE)).get();
      recorder.awaitSuccess(BUNDLE);
    }
  }

  private static void restore(BackupService service, Path store) throws Exception {
    AtomicReference<SessionRestore> self = new AtomicReference<>();
    List<String> uris = tree(store).keySet().stream().toList();
    AtomicInteger left = new AtomicInteger(uris.size());
    Recorder recorder =
        new Recorder() {
          @Override
          public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
            assertNull(error);
            assertNotNull(file);
            try (file) {
              file.fd().copyFrom(store.resolve(file.uri()));
            } catch (IOException e) {
              throw new IllegalStateException(e);
            }
            SessionRestore session = self.get();
            session.publishFile(new FileMeta(BUNDLE, file.uri()));
            if (left.decrementAndGet() == 0) {
              session.publishFile(new FileMeta(BUNDLE, ""));
            }
          }
        };
    try (SessionRestore session = new SessionRestore(service, recorder)) {
      self.set(session);
      try (FileData capabilities = service.getLocalCapabilities().get()) {
        session.appendBundles(capabilities.fd(), List.of(BUNDLE)).get();
      }
      for (String uri : uris) {
        session.getFileHandle(new FileMeta(BUNDLE, uri)).get();
      }
      recorder.awaitSuccess(BUNDLE);
    }
  }

  private static void assertCode(ErrorCode expected, CompletableFuture<?> call) {
    ExecutionException failure = assertThrows(ExecutionException.class, call::get);
    BackupException cause = assertInstanceOf(BackupException.class, failure.getCause());
    assertSame(expected, cause.error(), cause.getMessage());
  }

  @SuppressWarnings("NullAway") // what a caller may do in spite of the annotations
  private static GeneralCallbacks absent() {
    return null;
  }

  private static Map<String, String> tree(Path top) throws IOException {
    Map<String, String> tree = new TreeMap<>();
    try (var paths = Files.walk(top)) {
      for (Path path : paths.toList()) {
        String name = top.relativize(path).toString();
        if (name.isEmpty() || name.startsWith(".backup")) {
          continue;
        }
        if (Files.isSymbolicLink(path)) {
          tree.put(name, "-> " + Files.readSymbolicLink(path));
        } else if (Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
          tree.put(name, "directory");
        } else {
          byte[] content = Files.readAllBytes(path);
          tree.put(name, content.length + " " + Arrays.hashCode(content));
        }
      }
    }
    return tree;
  }

  private static long descriptors() throws IOException {
    try (var entries = Files.list(Path.of("/proc/self/fd"))) {
      return entries.filter(ServiceTest::isOurs).count();
    }
  }

  /** The JVM looks at the limits of its control group when it likes. */
  private static boolean isOurs(Path descriptor) {
    try {
      return !Files.readSymbolicLink(descriptor).startsWith("/sys/fs/cgroup");
    } catch (IOException e) {
      return false; // it is gone again
    }
  }
}
