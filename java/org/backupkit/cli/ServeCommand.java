package org.backupkit.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Runs the service in the foreground. */
@Command(
    name = "serve",
    description = "Runs the service until it is interrupted.",
    mixinStandardHelpOptions = true)
final class ServeCommand implements Callable<Integer> {
  @Mixin private DeviceRoot root = new DeviceRoot();

  @Option(
      names = "--socket",
      paramLabel = "SOCKET",
      description = "Where to listen; run/backupkit/service.sock of the root otherwise.")
  private @Nullable Path socket;

  @Option(
      names = "--log-level",
      paramLabel = "LEVEL",
      description = "What is logged at the least: ${COMPLETION-CANDIDATES}; warning otherwise.")
  private LogLevel logLevel = LogLevel.warning;

  /** As the service's own option has them. */
  private enum LogLevel {
    error,
    warning,
    info,
    debug
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    Path device = root.directory().toRealPath();
    List<String> arguments = new ArrayList<>(List.of("--root", device.toString()));
    arguments.addAll(List.of("--log-level", logLevel.name()));
    if (socket != null) {
      arguments.addAll(List.of("--socket", socket.toAbsolutePath().toString()));
    }
    return Daemon.run(arguments);
  }
}
