package org.backupkit.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.backupkit.BackupService;
import org.backupkit.Device;

/** What a private service costs by itself: the wait for it, its memory, and its descriptors. */
final class ServiceGauges {
  private static final String UNLIMITED = "{\"maxSendRate\": 0, \"packingLimit\": 0}";

  private ServiceGauges() {}

  /** The wait for the service, for a bundle's begin and for its first file, in milliseconds. */
  static Measurement waits(Path directory, Scale scale) throws IOException {
    BenchTree tree =
        new BenchTree(directory.resolve("device"), Shape.SMALL, Math.min(10, scale.files()));
    return ignored -> {
      long start = System.nanoTime();
      try (BackupService service = BackupService.embedded(tree.device().root())) {
        long ready = System.nanoTime();
        TimedBackup backup = TimedBackup.full(service, List.of(BenchTree.BUNDLE));
        return List.of(
            Measurement.Sample.of((ready - start) / 1e6),
            Measurement.Sample.of((backup.begun - backup.appended) / 1e6),
            Measurement.Sample.of((backup.firstFile() - backup.appended) / 1e6));
      }
    };
  }

  /** The memory of the service, idle and at its peak in a backup, and of the extension. */
  static Measurement memory(Path directory, Scale scale) throws IOException {
    BenchTree tree = new BenchTree(directory.resolve("device"), Shape.SMALL, scale.files());
    tree.device().configure("{\"maxSendRate\": 0}");
    return ignored -> {
      try (BackupService service = BackupService.embedded(tree.device().root())) {
        service.getBackupVersion();
        double idle = Machine.peakMib(service.servicePid());
        TimedBackup backup = TimedBackup.watched(service, BenchTree.BUNDLE);
        return List.of(
            Measurement.Sample.of(idle),
            Measurement.Sample.of(Machine.peakMib(service.servicePid())),
            Measurement.Sample.of(backup.peakMib));
      }
    };
  }

  /** How many descriptors of files come to a listener each second, beside a socket alone. */
  static Measurement descriptors(Path directory, Scale scale) throws IOException {
    Device device = new Device(directory.resolve("device"));
    device.configure(UNLIMITED);
    fill(device.addBundle(BenchTree.BUNDLE), scale.files());
    return ignored -> {
      try (BackupService service = BackupService.embedded(device.root())) {
        TimedBackup backup = TimedBackup.full(service, List.of(BenchTree.BUNDLE));
        double seconds = (backup.ended - backup.firstFile()) / 1e9;
        double ours = backup.arrivals.size() / seconds;
        return List.of(
            new Measurement.Sample(ours, NativeGauge.passing(scale.files(), 1)),
            new Measurement.Sample(ours, NativeGauge.passing(scale.files(), 16)));
      }
    };
  }

  private static void fill(Path sandbox, int files) throws IOException {
    Path folder = sandbox;
    for (int i = 0; i < files; i++) {
      if (i % 1000 == 0) {
        folder = Files.createDirectory(sandbox.resolve("folder" + i / 1000));
      }
      Files.writeString(folder.resolve("file" + i), "x");
    }
  }
}
