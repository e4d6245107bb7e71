package org.backupkit.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.backupkit.BackupService;
import org.backupkit.store.BackupOptions;
import org.backupkit.store.BackupReport;
import org.backupkit.store.SnapshotStore;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Backs up into a store. */
@Command(
    name = "backup",
    description = "Backs up bundles into a store.",
    mixinStandardHelpOptions = true)
final class BackupCommand implements Callable<Integer> {
  @Mixin private Connection connection = new Connection();

  @Option(
      names = "--to",
      paramLabel = "STORE",
      required = true,
      description = "The store; an empty or new directory becomes one.")
  private @Nullable Path store;

  @Option(names = "--full", description = "Back up everything again (always so for now).")
  private boolean full;

  @Option(
      names = "--no-hash",
      description = "Do not read big files to hash them: a restore checks their size alone.")
  private boolean unhashed;

  @Option(names = "--json", description = "Print one JSON object per line.")
  private boolean json;

  @Parameters(
      paramLabel = "BUNDLE",
      description = "The bundles; all that may be, if none is named.")
  private @Nullable List<String> bundles;

  @Override
  public Integer call() throws IOException {
    SnapshotStore target = SnapshotStore.open(Objects.requireNonNull(store));
    int leftOut = 0;
    try (BackupService service = connection.open()) {
      List<String> names = bundles;
      if (names == null) {
        CapabilityFile capabilities = CapabilityFile.ask(service);
        leftOut = capabilities.warn();
        names = capabilities.allowed();
        if (names.isEmpty()) {
          throw new IOException(
              "The device has no bundle to back up; 'backupkit bundle add' makes one");
        }
      }
      Output output = new Output(json);
      BackupReport report =
          full || unhashed
              ? target.backupFull(service, names, new BackupOptions(!unhashed), output)
              : target.backup(service, names, output);
      int code = output.summary("Backed up", report.bundles(), report.elapsed());
      return code == 0 && leftOut > 0 ? Main.PARTIAL : code;
    }
  }
}
