package org.backupkit.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.backupkit.BackupException;
import org.backupkit.BackupFile;
import org.backupkit.BackupService;
import org.backupkit.Extensions;
import org.backupkit.FileBatch;
import org.backupkit.FileMeta;
import org.backupkit.Journal;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.backupkit.SessionBackup;
import org.backupkit.SessionRestore;
import org.backupkit.Tool;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Files that are asked for, and told, several at a time. */
class FileBatchTest extends OnDevice {
  private static final String THROWING = "throwing";

  @BeforeEach
  void runOneBundle() throws IOException {
    device.configure("{\"maxExtensions\": 1}"); // which may have as many files under way as any
  }

  @Test
  void filesThatWaitComeTogetherInTheOrderInWhichTheyWereAskedFor() throws Exception {
    List<String> uris = IntStream.range(0, 300).mapToObj(i -> "file." + (299 - i)).toList();
    Batches journal = new Batches();
    try (BackupService service = embedded();
        SessionRestore session = begun(service, journal, null)) {
      session.getFileHandles(HIWORLD, uris).get();
      awaitArrival(session);
      journal.goOn.countDown();
      journal.await(Kind.FILE, HIWORLD, 300);
    }
    assertEquals(uris, journal.told());
    assertTrue(journal.sizes.get(0) > 1, journal.sizes.toString());
    assertTrue(journal.sizes.stream().allMatch(size -> size <= 64), journal.sizes.toString());
    assertEquals(300, journal.sizes.stream().mapToInt(Integer::intValue).sum());
  }

  @Test
  void anErrorAmongGoodFilesIsThatOfOneFile() throws Exception {
    Tool.need("prlimit");
    Batches journal = new Batches();
    try (BackupService service = embedded();
        SessionRestore session = begun(service, journal, null)) {
      askAndAwait(session, "first");
      long extension = Extensions.only(service).pid();
      Extensions.leaveFree(extension, 0);
      askAndAwait(session, "second", "third");
      Extensions.leaveFree(extension, 50);
      askAndAwait(session, "fourth");
      journal.goOn.countDown();
      journal.await(Kind.FILE, HIWORLD, 4);
      assertEquals(List.of("first", "second", "third", "fourth"), journal.told());
      assertEquals(List.of(0, OUT_OF_MEMORY, OUT_OF_MEMORY, 0), journal.codes());
      assertEquals(List.of(4), journal.sizes);
      session.getFileHandles(HIWORLD, List.of("second", "third")).get();
      assertEquals(0, journal.await(Kind.FILE, HIWORLD, 6).code());
    }
  }

  @Test
  void aListenerThatThrowsInABatchLosesThatOneFile() throws Exception {
    AtomicReference<Throwable> caught = new AtomicReference<>();
    AtomicReference<BackupFile> lost = new AtomicReference<>();
    Batches journal =
        new Batches() {
          @Override
          public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
            if (file != null && file.uri().equals(THROWING)) {
              lost.set(file);
              throw new IllegalStateException(THROWING);
            }
            super.onFileReady(error, file);
          }
        };
    try (BackupService service = embedded();
        SessionRestore session = begun(service, journal, reporting(caught))) {
      askAndAwait(session, "first", THROWING, "third", "fourth");
      journal.goOn.countDown();
      journal.await(Kind.FILE, HIWORLD, 3);
    }
    assertEquals(List.of("first", "third", "fourth"), journal.told());
    assertEquals(List.of(4), journal.sizes);
    assertEquals(THROWING, caught.get().getMessage());
    assertFalse(lost.get().fd().isOpen());
  }

  @Test
  void whatAListenerLeavesInABatchIsClosedAndTheNextBatchComes() throws Exception {
    CompletableFuture<FileBatch> first = new CompletableFuture<>();
    AtomicReference<Throwable> caught = new AtomicReference<>();
    Batches journal =
        new Batches() {
          @Override
          public void onFileReadyBatch(FileBatch batch) {
            if (first.complete(batch)) {
              throw new IllegalStateException(THROWING);
            }
            super.onFileReadyBatch(batch);
          }
        };
    try (BackupService service = embedded();
        SessionRestore session = begun(service, journal, reporting(caught))) {
      askAndAwait(session, "first", "second");
      journal.goOn.countDown();
      first.get(30, TimeUnit.SECONDS);
      session.getFileHandles(HIWORLD, List.of("third")).get();
      assertEquals("third", journal.await(Kind.FILE, HIWORLD).text());
      first.get().forEach(journal::onFileReady);
    }
    assertEquals(List.of("third"), journal.told());
    assertEquals(2, first.get().size());
    assertEquals(THROWING, caught.get().getMessage());
  }

  @Test
  void aListenerWithoutTheBatchMethodIsToldEachFile() throws Exception {
    CountDownLatch goOn = new CountDownLatch(1);
    AtomicReference<Throwable> caught = new AtomicReference<>();
    Journal journal =
        new Journal() {
          @Override
          public void onBundleBegin(@Nullable BackupException error, String bundleName) {
            super.onBundleBegin(error, bundleName);
            FileBatchTest.await(goOn);
          }

          @Override
          public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
            super.onFileReady(error, file);
            if (file != null && file.uri().equals(THROWING)) {
              throw new IllegalStateException(THROWING);
            }
          }
        };
    try (BackupService service = embedded();
        SessionRestore session = begun(service, journal, reporting(caught))) {
      askAndAwait(session, "first", THROWING, "third");
      goOn.countDown();
      journal.await(Kind.FILE, HIWORLD, 3);
    }
    assertEquals(
        List.of("first", THROWING, "third"),
        journal.of(Kind.FILE, HIWORLD).stream().map(Note::text).toList());
    assertEquals(THROWING, caught.get().getMessage());
  }

  @Test
  void aFileTakenOutOfABatchIsItsTakers() throws Exception {
    device.configure("{\"maxExtensions\": 1, \"packingLimit\": 100}");
    for (int i = 0; i < 20; i++) {
      Files.writeString(sandbox.resolve(i + ".txt"), "text ".repeat(100) + i);
    }
    Map<String, byte[]> contents = new TreeMap<>();
    try (BackupService service = embedded()) {
      Keeping backup = new Keeping();
      backup.goOn.countDown();
      try (SessionBackup session = new SessionBackup(service, backup)) {
        session.appendBundles(List.of(HIWORLD)).get();
        backup.awaitAll();
      }
      for (BackupFile file : backup.files) {
        contents.put(file.uri(), file.fd().readAllBytes());
        file.close();
      }
      Files.writeString(sandbox.resolve("7.txt"), "changed");
      Keeping restore = new Keeping();
      try (SessionRestore session = begun(service, restore, null)) {
        restore.goOn.countDown();
        session.getFileHandles(HIWORLD, List.copyOf(contents.keySet())).get();
        restore.await(Kind.FILE, HIWORLD, contents.size());
        for (BackupFile file : restore.files) {
          write(file.fd(), contents.get(file.uri()));
          file.close();
        }
        session.publishFile(new FileMeta(HIWORLD, "")).get();
        assertEquals(0, restore.await(Kind.END, HIWORLD).code());
      }
    }
    assertEquals("text ".repeat(100) + 7, Files.readString(sandbox.resolve("7.txt")));
  }

  @Test
  void aListThatIsWrongAsksForNothing() throws Exception {
    Batches journal = new Batches();
    try (BackupService service = embedded()) {
      SessionRestore session = begun(service, journal, null);
      List<String> withNull = Arrays.asList("good", null);
      for (List<String> wrong :
          List.of(List.<String>of(), List.of("good", ""), List.of("good", ".."), withNull)) {
        assertEquals(INVALID, codeOf(() -> session.getFileHandles(HIWORLD, wrong)));
      }
      assertEquals(INVALID, codeOf(() -> session.getFileHandles(HIWORLD, absent())));
      List<String> good = List.of("good");
      assertEquals(INVALID, codeOf(() -> session.getFileHandles(absent(), good)));
      assertEquals(INVALID, codeOf(() -> session.getFileHandles(UNKNOWN, good)));
      askAndAwait(session, "other");
      journal.goOn.countDown();
      journal.await(Kind.FILE, HIWORLD);
      session.close();
      assertEquals(List.of("other"), journal.told());
      assertEquals(NOT_PERMITTED, codeOf(() -> session.getFileHandles(HIWORLD, good)));
    }
  }

  /** A restore of the bundle that has begun; a null executor is a thread of its own. */
  private SessionRestore begun(BackupService service, Journal journal, @Nullable Executor executor)
      throws Exception {
    SessionRestore session =
        executor == null
            ? new SessionRestore(service, journal)
            : new SessionRestore(service, journal, executor);
    append(service, session, List.of(HIWORLD));
    journal.await(Kind.BEGIN, HIWORLD);
    return session;
  }

  private static void askAndAwait(SessionRestore session, String... uris) throws Exception {
    session.getFileHandles(HIWORLD, List.of(uris)).get();
    awaitArrival(session);
  }

  /** The extension answers after all files that it could send; they wait for the listener then. */
  private static void awaitArrival(SessionRestore session) {
    ExecutionException error =
        assertThrows(
            ExecutionException.class,
            () -> session.publishFile(new FileMeta(HIWORLD, "never_asked_for")).get());
    assertEquals(INVALID, assertInstanceOf(BackupException.class, error.getCause()).code());
  }

  /** A thread for each task, as long as it takes, that gives away what a task throws. */
  private static Executor reporting(AtomicReference<Throwable> caught) {
    return task -> {
      Thread thread = new Thread(task);
      thread.setUncaughtExceptionHandler((where, error) -> caught.set(error));
      thread.start();
    };
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Lets everything behind a bundle's begin wait until it may go on, and notes the batches. */
  private static class Batches extends Journal {
    final CountDownLatch goOn = new CountDownLatch(1);
    final List<Integer> sizes = new ArrayList<>(); // written before a note that is awaited

    List<String> told() {
      return of(Kind.FILE, HIWORLD).stream().map(Note::text).toList();
    }

    List<Integer> codes() {
      return of(Kind.FILE, HIWORLD).stream().map(Note::code).toList();
    }

    @Override
    public void onBundleBegin(@Nullable BackupException error, String bundleName) {
      super.onBundleBegin(error, bundleName);
      FileBatchTest.await(goOn);
    }

    @Override
    public void onFileReadyBatch(FileBatch batch) {
      sizes.add(batch.size());
      super.onFileReadyBatch(batch);
    }
  }

  /** Keeps the files of its batches. */
  private static final class Keeping extends Batches {
    final List<BackupFile> files = new ArrayList<>();

    @Override
    public void onFileReadyBatch(FileBatch batch) {
      batch.forEach(
          (error, file) -> {
            files.add(Objects.requireNonNull(file));
            note(Kind.FILE, file.bundleName(), file.uri(), null);
          });
    }
  }
}
