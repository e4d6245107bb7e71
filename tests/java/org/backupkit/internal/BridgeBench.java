package org.backupkit.internal;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.backupkit.Device;
import org.backupkit.Tool;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** What a call into native code costs, with nothing behind it, and with what all of ours have. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class BridgeBench {
  private Path root = Path.of("");
  private NativeHandle client = new NativeHandle(0, (value, lost) -> {});

  static native int empty();

  @Setup
  public void start() throws IOException {
    System.load(Path.of("target/native/build/libempty_native.so").toAbsolutePath().toString());
    root = Files.createTempDirectory("backupkit-bench-");
    long service =
        Bridge.embed(PathBytes.of(NativeLibrary.backupd()), PathBytes.of(new Device(root).root()));
    client = new NativeHandle(service, (value, lost) -> Bridge.destroy(value));
  }

  @TearDown
  public void end() throws IOException, InterruptedException {
    client.close();
    Tool.remove(root);
  }

  @Benchmark
  public int nothing() {
    return empty();
  }

  @Benchmark
  public int throughHandle() {
    return client.use(Bridge::servicePid);
  }
}
