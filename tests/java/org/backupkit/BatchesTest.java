package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** One bundle in several batches of an incremental backup. */
@Timeout(60)
class BatchesTest {
  private static final String APP = "com.example.app";
  private static final String FIRST = "com.example.first";

  @TempDir Path directory;
  private Device device;

  @BeforeEach
  void makeADevice() throws IOException {
    device = new Device(directory.resolve("device"));
    device.configure("{\"maxExtensions\": 1}");
    for (String bundle : List.of(APP, FIRST)) {
      Files.writeString(device.addBundle(bundle).resolve("note.txt"), bundle);
    }
  }

  @Test
  void aBundleRunsOncePerBatch() throws Exception {
    device.configure("{}");
    Journal journal = new Journal();
    try (BackupService service = BackupService.embedded(device.root());
        IncrementalBackupSession session = new IncrementalBackupSession(service, journal)) {
      for (int i = 0; i < 3; i++) {
        session.appendBundles(List.of(item(APP, i))).get();
      }
      journal.await(Kind.ALL, "", 3);
    }
    // Never two of one name at a time, though there was room.
    List<Kind> order =
        journal.notes().stream()
            .map(Note::kind)
            .filter(kind -> kind == Kind.BEGIN || kind == Kind.END || kind == Kind.ALL)
            .toList();
    List<Kind> once = List.of(Kind.BEGIN, Kind.END, Kind.ALL);
    assertEquals(List.of(once, once, once).stream().flatMap(List::stream).toList(), order);
  }

  @Test
  void cancelTakesABundleOutOfEveryBatchInWhichItWaits() throws Exception {
    Holding journal = new Holding();
    try (BackupService service = BackupService.embedded(device.root());
        IncrementalBackupSession session = new IncrementalBackupSession(service, journal)) {
      session.appendBundles(List.of(item(FIRST, 0))).get();
      journal.await(Kind.BEGIN, FIRST);
      session.appendBundles(List.of(item(APP, 2))).get();
      session.appendBundles(List.of(item(APP, 1), item(FIRST, 0))).get();
      assertEquals(ErrorCode.CANCEL_NOT_BEGUN.code(), session.cancel(APP));
      assertEquals(ErrorCode.CANCEL_NOT_FOUND.code(), session.cancel(APP));
      journal.goOn.countDown();
      journal.await(Kind.ALL, "", 3);
    }
    assertEquals(List.of(), journal.of(Kind.BEGIN, APP));
    assertEquals(2, journal.of(Kind.END, FIRST).size());
  }

  @Test
  void cancelOfARunningBundleLeavesTheOneThatWaits() throws Exception {
    Holding journal = new Holding();
    try (BackupService service = BackupService.embedded(device.root());
        IncrementalBackupSession session = new IncrementalBackupSession(service, journal)) {
      session.appendBundles(List.of(item(APP, 0))).get();
      journal.await(Kind.BEGIN, APP);
      session.appendBundles(List.of(item(APP, 0))).get();
      assertEquals(0, session.cancel(APP));
      journal.goOn.countDown();
      journal.await(Kind.ALL, "", 2);
    }
    assertEquals(
        List.of(ErrorCode.CANCELLED.code(), 0),
        journal.of(Kind.END, APP).stream().map(Note::code).toList());
  }

  private static IncrementalBackupData item(String bundle, int priority) {
    return IncrementalBackupData.builder(bundle).priority(priority).build();
  }

  /** Does not return from its first begin until it may: its bundle cannot end before. */
  private static final class Holding extends Journal {
    final CountDownLatch goOn = new CountDownLatch(1);

    @Override
    public void onBundleBegin(@Nullable BackupException error, String bundleName) {
      super.onBundleBegin(error, bundleName);
      try {
        goOn.await();
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
  }
}
