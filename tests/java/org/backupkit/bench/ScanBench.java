package org.backupkit.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import org.backupkit.BackupException;
import org.backupkit.BackupFile;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.Extensions;
import org.backupkit.Fd;
import org.backupkit.GeneralCallbacks;
import org.backupkit.IncrementalBackupData;
import org.backupkit.IncrementalBackupSession;
import org.backupkit.SessionBackup;
import org.backupkit.Tool;
import org.jspecify.annotations.Nullable;

/**
 * What an entry costs a backup, and the most memory that its extension has had, by the number of
 * entries: empty files, a thousand in each directory, or all in one. Arguments: numbers; without,
 * ten thousand to a million, for which the temporary directory must have 3 GB.
 */
public final class ScanBench {
  private static final String BUNDLE = "com.example.bench";
  private static final List<Integer> USUAL = List.of(10_000, 100_000, 1_000_000);

  private ScanBench() {}

  public static void main(String[] arguments) throws Exception {
    List<Integer> counts =
        arguments.length == 0 ? USUAL : Arrays.stream(arguments).map(Integer::valueOf).toList();
    System.out.println("in each   entries   kind          us for each   peak of the extension");
    for (int width : List.of(1000, Integer.MAX_VALUE)) {
      for (int count : counts) {
        Path directory = Files.createTempDirectory("backupkit-bench-");
        try {
          run(directory, count, width);
        } finally {
          Tool.remove(directory);
        }
      }
    }
  }

  private static void run(Path directory, int count, int width) throws Exception {
    Device device = new Device(directory.resolve("device"));
    device.configure("{\"maxSendRate\": 0}");
    int entries = fill(device.addBundle(BUNDLE), count, width);
    Path manifest = directory.resolve("manifest");
    try (BackupService service = BackupService.embedded(device.root())) {
      for (Kind kind : Kind.values()) {
        Listener listener = new Listener(service, kind == Kind.FIRST ? manifest : null);
        kind.backUp(service, listener, manifest);
        System.out.printf(
            "%7s   %7d   %-11s   %11.2f   %9d KiB%n",
            width == Integer.MAX_VALUE ? "all" : String.valueOf(width),
            entries,
            kind.name().toLowerCase(Locale.ROOT),
            (listener.ended - listener.begun) / 1e3 / entries,
            listener.peak);
      }
    }
  }

  /** The ways to back up. */
  private enum Kind {
    FULL,
    FIRST,
    UNCHANGED;

    void backUp(BackupService service, Listener listener, Path manifest) throws Exception {
      if (this == FULL) {
        try (SessionBackup session = new SessionBackup(service, listener)) {
          session.appendBundles(List.of(BUNDLE)).get();
          listener.all.await();
        }
        return;
      }
      IncrementalBackupData.Builder data = IncrementalBackupData.builder(BUNDLE);
      try (IncrementalBackupSession session = new IncrementalBackupSession(service, listener);
          @Nullable Fd last = this == UNCHANGED ? Fd.open(manifest) : null) {
        if (last != null) {
          data.lastIncrementalTime(1).manifestFd(last);
        }
        session.appendBundles(List.of(data.build())).get();
        listener.all.await();
      }
    }
  }

  /** Takes the time, and looks at the extension whenever a file comes. */
  private static final class Listener implements GeneralCallbacks {
    private final BackupService service;
    private final @Nullable Path manifest;
    final CountDownLatch all = new CountDownLatch(1);
    volatile long begun;
    volatile long ended;
    volatile long peak;

    Listener(BackupService service, @Nullable Path manifest) {
      this.service = service;
      this.manifest = manifest;
    }

    @Override
    public void onBundleBegin(@Nullable BackupException error, String bundleName) {
      begun = System.nanoTime();
    }

    @Override
    public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
      if (file == null) {
        throw new IllegalStateException(error);
      }
      try (file) {
        peak = peakOf(Extensions.only(service).pid());
        Fd rows = file.manifestFd();
        if (manifest != null && rows != null && file.uri().equals("manage.json")) {
          rows.copyTo(manifest);
        }
      } catch (IOException e) {
        throw new IllegalStateException(e);
      }
    }

    @Override
    public void onBundleEnd(@Nullable BackupException error, String bundleName) {
      ended = System.nanoTime();
      if (error != null) {
        throw new IllegalStateException(error);
      }
    }

    @Override
    public void onAllBundlesEnd(@Nullable BackupException error) {
      all.countDown();
    }
  }

  private static long peakOf(long pid) throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc", String.valueOf(pid), "status"))) {
      if (line.startsWith("VmHWM:")) {
        return Long.parseLong(line.replaceAll("\\D", ""));
      }
    }
    throw new IOException("no VmHWM of " + pid);
  }

  /** Gives the number of entries that a backup has of it. */
  private static int fill(Path sandbox, int count, int width) throws IOException {
    int entries = 1;
    Path folder = sandbox;
    for (int i = 0; i < count; ++i, ++entries) {
      if (width < count && i % width == 0) {
        folder = Files.createDirectory(sandbox.resolve("folder" + i / width));
        ++entries;
      }
      Files.createFile(folder.resolve("file" + i));
    }
    return entries;
  }
}
