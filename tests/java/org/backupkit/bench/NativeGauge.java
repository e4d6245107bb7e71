package org.backupkit.bench;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.backupkit.Device;
import org.backupkit.ServiceProcess;
import org.backupkit.Tool;
import org.backupkit.bench.Measurement.Sample;
import org.jspecify.annotations.Nullable;

/** What the native code's single pieces do, by programs of the bench that print figures. */
final class NativeGauge {
  private static final Path PROGRAMS = Path.of("target/native/build");
  private static final int BYTES_FOR_EACH = 10_000; // 1 GB for as many files as usual

  private NativeGauge() {}

  /** The ways to copy a file, in GB/s. */
  static Measurement copying(Path directory, Scale scale) throws Exception {
    Path file = fill(directory, scale);
    String copy = directory.resolve("copy").toString();
    return ignored -> samples(run("copy_rungs", file.toString(), copy));
  }

  /** The hash, in GB/s. */
  static Measurement hashing(Path directory, Scale scale) throws Exception {
    Path file = fill(directory, scale);
    return ignored -> samples(run("hash_speed", file.toString()));
  }

  /** A walk in the order of a manifest, beside a bare one. */
  static Measurement walking(Path directory, Scale scale) throws Exception {
    BenchTree tree = new BenchTree(directory.resolve("device"), Shape.SMALL, scale.files());
    String top = tree.sandbox().toString();
    return round ->
        List.of(
            new Sample(
                Duel.seconds(round, fresh -> run("scan_tree", top)),
                Duel.seconds(round, fresh -> run("bare_walk", top))));
  }

  /** The descriptors that a socket alone carries in a second, so many in each message. */
  static double passing(int files, int batch) throws Exception {
    String count = String.valueOf(files);
    return Double.parseDouble(run("pass_fds", "/dev/null", count, String.valueOf(batch)).get(0));
  }

  /** Sessions of a service, alone and while others connect and say half of what they should. */
  static Measurement connecting(Path directory, Scale scale) throws Exception {
    Device device = new Device(directory.resolve("device"));
    device.configure("{\"maxSendRate\": 0}");
    Files.writeString(device.addBundle(BenchTree.BUNDLE).resolve("note"), "a small file");
    Path socket = directory.resolve("socket");
    String connects = String.valueOf(Math.max(1, scale.files() / 10));
    String open = String.valueOf(Math.max(1, scale.files() / 100));
    return ignored -> {
      ServiceProcess service = ServiceProcess.start(device.root(), socket);
      try {
        return samples(run("connections", socket.toString(), BenchTree.BUNDLE, connects, open));
      } finally {
        service.close();
      }
    };
  }

  private static Path fill(Path directory, Scale scale) throws Exception {
    Path file = directory.resolve("file");
    byte[] content = new byte[BYTES_FOR_EACH];
    Random random = new Random(1);
    try (var out = Files.newOutputStream(file)) {
      for (int i = 0; i < scale.files(); i++) {
        random.nextBytes(content);
        out.write(content);
      }
    }
    return file;
  }

  private static List<String> run(String program, String... arguments) throws Exception {
    List<String> command = new ArrayList<>();
    command.add(PROGRAMS.resolve(program).toAbsolutePath().toString());
    command.addAll(Arrays.asList(arguments));
    return Tool.succeed(command.toArray(String[]::new)).lines().toList();
  }

  private static List<Sample> samples(List<String> lines) {
    return lines.stream().map(line -> new Sample(value(line), null)).toList();
  }

  private static @Nullable Double value(String line) {
    return line.equals("-") ? null : Double.valueOf(line);
  }
}
