package org.backupkit.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import org.backupkit.BackupService;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Option;

/** The options that say which service a command talks to. */
final class Connection {
  @ArgGroup(exclusive = true, multiplicity = "0..1")
  private @Nullable Choice choice;

  private static final class Choice {
    @Option(
        names = "--root",
        paramLabel = "DIR",
        description = "Start a private service on this device root.")
    private @Nullable Path root;

    @Option(
        names = "--socket",
        paramLabel = "SOCKET",
        description = "Talk to the service on this socket.")
    private @Nullable Path socket;
  }

  /** The service; the caller closes it. */
  BackupService open() throws IOException {
    if (choice != null && choice.root != null) {
      return BackupService.embedded(directory(choice.root));
    }
    if (choice != null && choice.socket != null) {
      return BackupService.connect(choice.socket);
    }
    return BackupService.connect();
  }

  /** The path, if it is a directory. */
  static Path directory(Path path) throws IOException {
    if (!Files.exists(path)) {
      throw new NoSuchFileException(path.toString(), null, "there is no such directory");
    }
    if (!Files.isDirectory(path)) {
      throw new NotDirectoryException(path.toString());
    }
    return path;
  }
}
