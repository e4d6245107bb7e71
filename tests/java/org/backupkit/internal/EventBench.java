package org.backupkit.internal;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.backupkit.Fd;
import org.backupkit.Tool;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** What a file costs from the socket to its descriptor in Java, and that one's end. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class EventBench {
  private static final int FILES = 16;

  private Path directory = Path.of("");
  private NativeHandle client = new NativeHandle(0, (value, lost) -> {});

  @Setup
  public void start() throws IOException {
    directory = Files.createTempDirectory("backupkit-bench-");
    String program = Path.of("target/native/build/event_source").toAbsolutePath().toString();
    Path socket = directory.resolve("socket");
    Process source = new ProcessBuilder(program, socket.toString(), String.valueOf(FILES)).start();
    if (source.inputReader().readLine() == null) {
      throw new IOException("the source of events has ended");
    }
    client =
        new NativeHandle(
            Bridge.connect(PathBytes.of(socket)), (value, lost) -> Bridge.destroy(value));
  }

  @TearDown
  public void end() throws IOException, InterruptedException {
    client.close();
    Tool.remove(directory);
  }

  @Benchmark
  @OperationsPerInvocation(FILES)
  public int file() throws IOException {
    byte[] batch = client.use(address -> Bridge.awaitEvents(address, -1));
    int files = 0;
    for (Event event : EventReader.read(batch, Descriptors::discard)) {
      Fd.adopt(event.fds()[0]).close();
      files++;
    }
    return files;
  }
}
