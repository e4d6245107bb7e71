package org.backupkit.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.backupkit.store.BackupOptions;

/**
 * From which size on a file is better passed than packed: backups of files of one size into a
 * store, each passed, beside the same packed.
 */
record CrossoverDuel(List<Tree> trees) implements Measurement {
  private static final int KIB = 1024;
  private static final List<Integer> SIZES = List.of(4, 16, 64, 256, 1024, 2048, 4096, 8192);
  private static final List<Integer> RATES = List.of(60, 800, Integer.MAX_VALUE);
  private static final int MOST_FILES = 64;

  /** Files of one size, in KiB. */
  record Tree(BenchTree data, int size) {}

  /** What is said of each rate and size. */
  static Row[] rows() {
    return RATES.stream()
        .flatMap(rate -> SIZES.stream().map(size -> row(rate, size)))
        .toArray(Row[]::new);
  }

  private static Row row(int rate, int size) {
    String limit = rate == Integer.MAX_VALUE ? "no limit" : rate + " a second";
    return Row.beside("packed; " + size + " KiB each, passed at " + limit);
  }

  static CrossoverDuel of(Path directory, Scale scale) throws IOException {
    List<Tree> trees = new ArrayList<>();
    int files = Math.max(2, Math.min(MOST_FILES, scale.files() / 1000));
    for (int size : SIZES) {
      BenchTree data = new BenchTree(directory.resolve("device" + size));
      fill(data.sandbox(), files, size * KIB);
      trees.add(new Tree(data, size));
    }
    return new CrossoverDuel(trees);
  }

  private static void fill(Path sandbox, int files, int size) throws IOException {
    byte[] content = new byte[size];
    Random random = new Random(1);
    for (int i = 0; i < files; i++) {
      random.nextBytes(content);
      Files.write(sandbox.resolve("file" + i), content);
    }
  }

  @Override
  public List<Sample> round(Path directory) throws Exception {
    List<Sample> samples = new ArrayList<>();
    for (int rate : RATES) {
      for (Tree tree : trees) {
        int size = tree.size() * KIB;
        samples.add(
            new Sample(
                seconds(directory, tree.data(), rate, size - 1),
                seconds(directory, tree.data(), rate, size)));
      }
    }
    return samples;
  }

  private static double seconds(Path directory, BenchTree data, int rate, int packingLimit)
      throws Exception {
    String settings = "{\"maxSendRate\": 0, \"packingLimit\": %d}";
    data.device().configure(settings.formatted(packingLimit));
    BackupOptions options = BackupOptions.defaults().withRate(rate);
    return Duel.seconds(directory, fresh -> data.backUp(fresh.resolve("store"), options));
  }
}
