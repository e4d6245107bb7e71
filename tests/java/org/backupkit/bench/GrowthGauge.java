package org.backupkit.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.backupkit.BackupService;
import org.backupkit.Device;

/**
 * What an entry costs a backup, and the most memory that its extension has had, by the number of
 * entries: empty files, a thousand in each directory. Beside a tenth as many files as usual it has
 * as many and, where that is asked for, ten times as many.
 */
record GrowthGauge(List<Tree> trees) implements Measurement {
  private static final int EACH = 1000;
  private static final int LARGER = 2;
  private static final Sample NONE = new Sample(null, null);

  /** A device whose app has so many entries. */
  record Tree(Device device, int entries) {}

  /** In microseconds for each entry, and the extension's peak. */
  private record Cost(double full, double fullMib, double unchanged, double unchangedMib) {}

  static GrowthGauge of(Path directory, Scale scale) throws IOException {
    List<Tree> trees = new ArrayList<>();
    int[] counts = {scale.files() / 10, scale.files(), scale.files() * 10};
    for (int i = 0; i < (scale.isMillion() ? 1 + LARGER : LARGER); i++) {
      Device device = new Device(directory.resolve("device" + i));
      device.configure("{\"maxSendRate\": 0}");
      trees.add(new Tree(device, fill(device.addBundle(BenchTree.BUNDLE), counts[i])));
    }
    return new GrowthGauge(trees);
  }

  @Override
  public List<Sample> round(Path directory) throws Exception {
    List<Cost> costs = new ArrayList<>();
    for (Tree tree : trees) {
      costs.add(cost(tree, Files.createTempFile(directory, "manifest-", "")));
    }
    Cost least = costs.get(0);
    Stream<Sample> larger =
        costs.stream()
            .skip(1)
            .flatMap(
                cost ->
                    Stream.of(
                        new Sample(cost.full, least.full),
                        Sample.of(cost.fullMib - least.fullMib),
                        new Sample(cost.unchanged, least.unchanged),
                        Sample.of(cost.unchangedMib - least.unchangedMib)));
    return Stream.concat(larger, Stream.generate(() -> NONE)).limit(LARGER * 4).toList();
  }

  private static Cost cost(Tree tree, Path manifest) throws Exception {
    try (BackupService service = BackupService.embedded(tree.device().root())) {
      TimedBackup full = TimedBackup.watched(service, BenchTree.BUNDLE);
      TimedBackup.incremental(service, BenchTree.BUNDLE, manifest, true);
      TimedBackup unchanged = TimedBackup.incremental(service, BenchTree.BUNDLE, manifest, false);
      return new Cost(
          1e6 * full.seconds() / tree.entries(),
          full.peakMib,
          1e6 * unchanged.seconds() / tree.entries(),
          unchanged.peakMib);
    }
  }

  /** Gives the number of entries that a backup has of it. */
  private static int fill(Path sandbox, int files) throws IOException {
    int entries = 1;
    Path folder = sandbox;
    for (int i = 0; i < files; i++, entries++) {
      if (i % EACH == 0) {
        folder = Files.createDirectory(sandbox.resolve("folder" + i / EACH));
        entries++;
      }
      Files.createFile(folder.resolve("file" + i));
    }
    return entries;
  }
}
