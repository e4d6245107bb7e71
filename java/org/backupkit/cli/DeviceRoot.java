package org.backupkit.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The option of a command that works on a device root itself. */
final class DeviceRoot {
  @Option(names = "--root", paramLabel = "DIR", required = true, description = "The device root.")
  private @Nullable Path root;

  /** The directory, which is there. */
  Path directory() throws IOException {
    return Connection.directory(Objects.requireNonNull(root));
  }
}
