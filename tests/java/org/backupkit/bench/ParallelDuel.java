package org.backupkit.bench;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.backupkit.BackupService;
import org.backupkit.Device;

/** Three bundles of small files at once, beside the same one after another. */
record ParallelDuel(Device device, List<String> bundles) implements Measurement {
  static ParallelDuel of(Path directory, Scale scale) throws Exception {
    Device device = new Device(directory.resolve("device"));
    List<String> bundles = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      String bundle = "com.example.bench" + i;
      Shape.SMALL.fill(device.addBundle(bundle), scale.files() / 3);
      bundles.add(bundle);
    }
    return new ParallelDuel(device, bundles);
  }

  @Override
  public List<Sample> round(Path directory) throws Exception {
    return List.of(new Sample(seconds(directory, 3), seconds(directory, 1)));
  }

  private double seconds(Path directory, int atOnce) throws Exception {
    device.configure("{\"maxSendRate\": 0, \"maxExtensions\": %d}".formatted(atOnce));
    Duel.sync(directory);
    try (BackupService service = BackupService.embedded(device.root())) {
      return TimedBackup.full(service, bundles).seconds();
    }
  }
}
