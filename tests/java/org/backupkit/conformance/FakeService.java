package org.backupkit.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.backupkit.BackupException;
import org.backupkit.BackupService;

/** A service that fails as it was told; serves one connection. */
final class FakeService implements AutoCloseable {
  private final Process process;
  private final Path socket;

  /** Starts one whose frames of a type, by its number in wire.h, carry an error. */
  FakeService(Path socket, int frame, int code) throws IOException {
    String program = Objects.requireNonNull(System.getProperty("backupkit.fakeService"));
    this.socket = socket;
    this.process =
        new ProcessBuilder(
                List.of(program, socket.toString(), String.valueOf(frame), String.valueOf(code)))
            .start();
    // It says so as soon as it listens.
    byte[] line = process.getInputStream().readNBytes("ready\n".length());
    assertEquals("ready\n", new String(line, StandardCharsets.US_ASCII));
  }

  BackupService connect() throws BackupException {
    return BackupService.connect(socket);
  }

  @Override
  public void close() {
    process.destroy();
    process.onExit().orTimeout(30, TimeUnit.SECONDS).join();
  }
}
