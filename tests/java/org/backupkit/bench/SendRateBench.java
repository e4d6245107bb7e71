package org.backupkit.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.backupkit.BackupException;
import org.backupkit.BackupFile;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.GeneralCallbacks;
import org.backupkit.SessionBackup;
import org.jspecify.annotations.Nullable;

/**
 * How exact the send rate is, as a listener sees it: the rate that is kept up over ten seconds and
 * the most files in a tenth of a second. Arguments: rates; without, the usual ones.
 */
public final class SendRateBench {
  private static final String BUNDLE = "com.example.bench";
  private static final long SECOND = 1_000_000_000;
  private static final int BEFORE = 3; // files that may have left at the first rate

  private SendRateBench() {}

  public static void main(String[] arguments) throws Exception {
    List<Integer> rates =
        arguments.length == 0
            ? List.of(1, 10, 60, 300, 800)
            : Arrays.stream(arguments).map(Integer::valueOf).toList();
    System.out.println("rate  kept up over 10 s   worst 100 ms   allowed   worst 1 s   allowed");
    for (int rate : rates) {
      Path directory = Files.createTempDirectory("backupkit-bench-");
      try {
        print(rate, arrivals(new Device(directory.resolve("device")), rate));
      } finally {
        Device.empty(directory);
        Files.delete(directory);
      }
    }
  }

  private static void print(int rate, List<Long> times) {
    int depth = Math.max(1, rate / 20);
    List<Long> since = times.subList(BEFORE, times.size());
    // What was under way at the first rate, and the bucket that was full, are over.
    int first = times.size() - 10 * rate - 1;
    double seconds = (times.get(times.size() - 1) - times.get(first)) / 1e9;
    double kept = 10 * rate / seconds;
    System.out.printf(
        "%4d  %8.3f (%+.2f %%)   %12d   %7.1f   %9d   %7d%n",
        rate,
        kept,
        100 * (kept / rate - 1),
        most(since, SECOND / 10),
        rate / 10.0 + depth,
        most(since, SECOND),
        rate + depth);
  }

  /** The most arrivals within a stretch of time. */
  private static int most(List<Long> times, long stretch) {
    int most = 0;
    for (int first = 0, next = 0; next < times.size(); next++) {
      while (times.get(next) - times.get(first) >= stretch) {
        first++;
      }
      most = Math.max(most, next - first + 1);
    }
    return most;
  }

  private static List<Long> arrivals(Device device, int rate) throws Exception {
    fill(device, rate);
    List<Long> times = Collections.synchronizedList(new ArrayList<>());
    CountDownLatch ended = new CountDownLatch(1);
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, noting(times, ended, service, rate))) {
      session.appendBundles(List.of(BUNDLE)).get();
      ended.await();
    }
    return times;
  }

  private static GeneralCallbacks noting(
      List<Long> times, CountDownLatch ended, BackupService service, int rate) {
    return new GeneralCallbacks() {
      @Override
      public void onBundleBegin(@Nullable BackupException error, String bundleName) {
        try {
          service.updateSendRate(bundleName, rate);
        } catch (BackupException e) {
          throw new IllegalStateException(e);
        }
      }

      @Override
      public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
        times.add(System.nanoTime());
        if (file != null) {
          file.close();
        }
      }

      @Override
      public void onAllBundlesEnd(@Nullable BackupException error) {
        ended.countDown();
      }
    };
  }

  private static void fill(Device device, int rate) throws IOException {
    device.configure("{\"packingLimit\": 0}");
    Path sandbox = device.addBundle(BUNDLE);
    for (int i = 0; i < 12 * rate + 60; i++) {
      Files.writeString(sandbox.resolve(i + ".bin"), "x");
    }
  }
}
