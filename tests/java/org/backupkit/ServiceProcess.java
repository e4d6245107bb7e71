package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.backupkit.internal.NativeLibrary;

/** A service of its own on a socket. Closing it ends it as an administrator would. */
public final class ServiceProcess implements AutoCloseable {
  private static final String LACKS = "backupd: this kernel ";

  private final Process process;
  private final Path socket;

  private ServiceProcess(Process process, Path socket) {
    this.process = process;
    this.socket = socket;
  }

  /** Starts one and waits until it can be connected to; {@code prefix} is what starts it. */
  public static ServiceProcess start(Path root, Path socket, String... prefix)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(prefix));
    command.add(NativeLibrary.backupd().toString());
    return start(command, root, socket, List.of());
  }

  /** Starts one that logs from that level on. */
  public static ServiceProcess startLogging(Path root, Path socket, String level)
      throws IOException, InterruptedException {
    List<String> program = List.of(NativeLibrary.backupd().toString());
    return start(program, root, socket, List.of("--log-level", level));
  }

  /**
   * Starts one whose extensions wait for nothing longer than for a moment, and go on then as if the
   * time had come that they wait until.
   */
  public static ServiceProcess startHasty(Path root, Path socket)
      throws IOException, InterruptedException {
    String program = Objects.requireNonNull(System.getProperty("backupkit.hastyService"));
    return start(List.of(program), root, socket, List.of());
  }

  private static ServiceProcess start(
      List<String> program, Path root, Path socket, List<String> options)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(program);
    command.addAll(List.of("--root", root.toString(), "--socket", socket.toString()));
    command.addAll(options);
    Process process =
        new ProcessBuilder(command).redirectOutput(ProcessBuilder.Redirect.DISCARD).start();
    while (!answers(socket)) {
      assertFalse(process.waitFor(10, TimeUnit.MILLISECONDS), "the service ended");
    }
    return new ServiceProcess(process, socket);
  }

  private static boolean answers(Path socket) {
    try (BackupService service = BackupService.connect(socket)) {
      return service.isAlive();
    } catch (BackupException e) {
      return false;
    }
  }

  Path socket() {
    return socket;
  }

  public BackupService connect() throws BackupException {
    return BackupService.connect(socket);
  }

  /** Sends it a signal, such as HUP. */
  public void signal(String name) throws IOException, InterruptedException {
    Tool.succeed("sh", "-c", "kill -" + name + " " + process.pid());
  }

  /** The next line that it logs, as it comes, but for what it says of the kernel at its start. */
  String nextLine() throws IOException {
    String line = process.errorReader().readLine();
    return line != null && line.startsWith(LACKS) ? nextLine() : line;
  }

  /** Whether the kernel has all that confines others; it would have said so at its start. */
  boolean confines() throws IOException {
    BufferedReader log = process.errorReader();
    if (!log.ready()) {
      return true;
    }
    log.mark(8192);
    String line = log.readLine();
    log.reset();
    return !line.startsWith(LACKS);
  }

  @Override
  public void close() {
    process.destroy();
    process.onExit().orTimeout(30, TimeUnit.SECONDS).join();
  }
}
