package org.backupkit.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Ends what a crash or a power cut has interrupted. */
@Command(
    name = "recover",
    description = {
      "Completes or undoes the restores that were interrupted, before the apps start.",
      "A running service does so by itself; this is for when there is none."
    },
    mixinStandardHelpOptions = true)
final class RecoverCommand implements Callable<Integer> {
  @Option(names = "--root", paramLabel = "DIR", required = true, description = "The device root.")
  private @Nullable Path root;

  @Override
  public Integer call() throws IOException, InterruptedException {
    Path device = Connection.directory(Objects.requireNonNull(root)).toRealPath();
    return Daemon.run(List.of("--recover", "--root", device.toString()));
  }
}
