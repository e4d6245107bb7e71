package org.backupkit.bench;

import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.Tool;
import org.backupkit.store.BackupOptions;
import org.backupkit.store.BackupReport;
import org.backupkit.store.Progress;
import org.backupkit.store.SnapshotStore;

/**
 * What the hash of big files costs: backups of one file into a store with it and without, in turn.
 * Argument: the file's size in MiB; without, 1024. The temporary directory must have three times as
 * much.
 */
public final class HashBench {
  private static final String BUNDLE = "com.example.bench";
  private static final int PAIRS = 7;

  private HashBench() {}

  public static void main(String[] arguments) throws Exception {
    int mebibytes = arguments.length == 0 ? 1024 : Integer.parseInt(arguments[0]);
    Path directory = Files.createTempDirectory("backupkit-bench-");
    try {
      Device device = new Device(directory.resolve("device"));
      fill(device.addBundle(BUNDLE).resolve("big"), mebibytes);
      List<Double> ratios = new ArrayList<>();
      System.out.println("without s    with s   ratio");
      for (int pair = 0; pair <= PAIRS; ++pair) {
        double without = seconds(device, directory, false);
        double with = seconds(device, directory, true);
        if (pair > 0) { // the first warms up
          System.out.printf("%9.3f %9.3f   %5.3f%n", without, with, with / without);
          ratios.add(with / without);
        }
      }
      Collections.sort(ratios);
      System.out.printf(
          "median %.3f, from %.3f to %.3f%n",
          ratios.get(PAIRS / 2), ratios.get(0), ratios.get(PAIRS - 1));
    } finally {
      Tool.remove(directory);
    }
  }

  private static double seconds(Device device, Path directory, boolean hashes) throws Exception {
    Path place = directory.resolve("store");
    SnapshotStore store = SnapshotStore.open(place);
    BackupOptions options = BackupOptions.defaults().withIntegrity(hashes);
    try (BackupService service = BackupService.embedded(device.root())) {
      long begin = System.nanoTime();
      BackupReport report = store.backupFull(service, List.of(BUNDLE), options, Progress.NONE);
      if (!report.succeeded()) {
        throw new IllegalStateException(report.toString());
      }
      return (System.nanoTime() - begin) / 1e9;
    } finally {
      Tool.remove(place);
    }
  }

  private static void fill(Path file, int mebibytes) throws Exception {
    Random random = new Random(1);
    byte[] bytes = new byte[1 << 20];
    try (OutputStream out = Files.newOutputStream(file)) {
      for (int i = 0; i < mebibytes; ++i) {
        random.nextBytes(bytes);
        out.write(bytes);
      }
    }
  }
}
