package org.backupkit.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.backupkit.BackupException;
import org.backupkit.BackupFile;
import org.backupkit.BackupService;
import org.backupkit.Extensions;
import org.backupkit.Fd;
import org.backupkit.GeneralCallbacks;
import org.backupkit.IncrementalBackupData;
import org.backupkit.IncrementalBackupSession;
import org.backupkit.SessionBackup;
import org.jspecify.annotations.Nullable;

/** A backup whose files are closed as they come; notes when what came, in nanoseconds. */
final class TimedBackup implements GeneralCallbacks {
  private static final int USUAL_RATE = -1;

  private final BackupService service;
  private final boolean isWatched;
  private final @Nullable Path manifest;
  private final int rate;
  private final CountDownLatch all = new CountDownLatch(1);
  private volatile @Nullable Throwable problem;
  volatile long appended;
  volatile long begun;
  volatile long ended;
  volatile double peakMib;
  final List<Long> arrivals = Collections.synchronizedList(new ArrayList<>());

  private TimedBackup(BackupService service, boolean isWatched, @Nullable Path manifest, int rate) {
    this.service = service;
    this.isWatched = isWatched;
    this.manifest = manifest;
    this.rate = rate;
  }

  /** A full one. */
  static TimedBackup full(BackupService service, List<String> bundles) throws Exception {
    return full(service, bundles, new TimedBackup(service, false, null, USUAL_RATE));
  }

  /** A full one, with a look at the extension's memory at each file. */
  static TimedBackup watched(BackupService service, String bundle) throws Exception {
    return full(service, List.of(bundle), new TimedBackup(service, true, null, USUAL_RATE));
  }

  /** A full one with another number of files per second. */
  static TimedBackup atRate(BackupService service, String bundle, int rate) throws Exception {
    return full(service, List.of(bundle), new TimedBackup(service, false, null, rate));
  }

  private static TimedBackup full(BackupService service, List<String> bundles, TimedBackup backup)
      throws Exception {
    try (SessionBackup session = new SessionBackup(service, backup)) {
      backup.appended = System.nanoTime();
      session.appendBundles(bundles).get();
      return backup.await();
    }
  }

  /** An incremental one that is watched; writes its manifest, where it is the first. */
  static TimedBackup incremental(
      BackupService service, String bundle, Path manifest, boolean isFirst) throws Exception {
    TimedBackup backup = new TimedBackup(service, true, isFirst ? manifest : null, USUAL_RATE);
    IncrementalBackupData.Builder data = IncrementalBackupData.builder(bundle);
    try (IncrementalBackupSession session = new IncrementalBackupSession(service, backup);
        @Nullable Fd last = isFirst ? null : Fd.open(manifest)) {
      if (last != null) {
        data.lastIncrementalTime(1).manifestFd(last);
      }
      backup.appended = System.nanoTime();
      session.appendBundles(List.of(data.build())).get();
      return backup.await();
    }
  }

  /** When the first file came. */
  long firstFile() {
    return arrivals.get(0);
  }

  /** From the begin of its first bundle to the end of the last. */
  double seconds() {
    return (ended - begun) / 1e9;
  }

  private TimedBackup await() throws InterruptedException {
    all.await();
    if (problem != null) {
      throw new IllegalStateException(problem);
    }
    return this;
  }

  @Override
  public void onBundleBegin(@Nullable BackupException error, String bundleName) {
    note(error);
    if (begun == 0) {
      begun = System.nanoTime();
    }
    if (rate == USUAL_RATE) {
      return;
    }
    try {
      service.updateSendRate(bundleName, rate);
    } catch (BackupException e) {
      note(e);
    }
  }

  @Override
  public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
    arrivals.add(System.nanoTime());
    note(error);
    try (file) {
      if (isWatched) {
        peakMib = Machine.peakMib(Extensions.only(service).pid());
      }
      Fd rows = file == null || manifest == null ? null : file.manifestFd();
      if (rows != null && file.uri().equals("manage.json")) {
        rows.copyTo(manifest);
      }
    } catch (IOException e) {
      note(e);
    }
  }

  @Override
  public void onBundleEnd(@Nullable BackupException error, String bundleName) {
    ended = System.nanoTime();
    note(error);
  }

  @Override
  public void onAllBundlesEnd(@Nullable BackupException error) {
    note(error);
    all.countDown();
  }

  @Override
  public void onBackupServiceDied() {
    note(new IllegalStateException("the service has died"));
    all.countDown();
  }

  private void note(@Nullable Throwable what) {
    if (what != null) {
      problem = what;
    }
  }
}
