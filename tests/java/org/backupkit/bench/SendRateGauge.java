package org.backupkit.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.backupkit.BackupService;
import org.backupkit.Device;

/** How exact the send rate is, as a listener sees it. */
record SendRateGauge(List<Run> runs, int seconds) implements Measurement {
  private static final List<Integer> RATES = List.of(60, 800);
  private static final long TENTH = 100_000_000;
  private static final int BEFORE = 3; // files that may have left at the first rate

  /** A device whose app has files enough for a rate. */
  record Run(Device device, int rate) {}

  /** For each rate, how far off it is and the most files in a tenth of a second. */
  static Row[] rows() {
    return RATES.stream()
        .flatMap(
            rate ->
                Stream.of(
                    Row.of("error of " + rate + " a second", "%").most(1),
                    Row.of("most in 100 ms of " + rate + " a second", "files")
                        .most(rate / 10.0 + depth(rate))))
        .toArray(Row[]::new);
  }

  private static int depth(int rate) {
    return Math.max(1, rate / 20);
  }

  static SendRateGauge of(Path directory, Scale scale) throws IOException {
    List<Run> runs = new ArrayList<>();
    int seconds = Math.max(1, Math.min(3, scale.files() / 1000));
    for (int rate : RATES) {
      Device device = new Device(directory.resolve("device" + rate));
      device.configure("{\"packingLimit\": 0}");
      Path sandbox = device.addBundle(BenchTree.BUNDLE);
      for (int i = 0; i < BEFORE + depth(rate) + seconds * rate; i++) {
        Files.writeString(sandbox.resolve("file" + i), "x");
      }
      runs.add(new Run(device, rate));
    }
    return new SendRateGauge(runs, seconds);
  }

  @Override
  public List<Sample> round(Path directory) throws Exception {
    List<Sample> samples = new ArrayList<>();
    for (Run run : runs) {
      List<Long> times = arrivals(run);
      samples.add(Sample.of(errorPercent(times, run.rate)));
      samples.add(Sample.of(most(times.subList(BEFORE, times.size()))));
    }
    return samples;
  }

  private static List<Long> arrivals(Run run) throws Exception {
    try (BackupService service = BackupService.embedded(run.device.root())) {
      return TimedBackup.atRate(service, BenchTree.BUNDLE, run.rate).arrivals;
    }
  }

  /** What was under way at the first rate, and the bucket that was full, are left out. */
  private double errorPercent(List<Long> times, int rate) {
    int last = times.size() - 1;
    double taken = (times.get(last) - times.get(last - seconds * rate)) / 1e9;
    return Math.abs(seconds / taken - 1) * 100;
  }

  /** The most arrivals within a tenth of a second. */
  private static double most(List<Long> times) {
    int most = 0;
    for (int first = 0, next = 0; next < times.size(); next++) {
      while (times.get(next) - times.get(first) >= TENTH) {
        first++;
      }
      most = Math.max(most, next - first + 1);
    }
    return most;
  }
}
