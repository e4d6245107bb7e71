package org.backupkit.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
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
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

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

  @Option(names = "--full", description = "Back up everything again.")
  private boolean full;

  @Option(
      names = "--no-hash",
      description = "Do not read big files to hash them: a restore checks their size alone.")
  private boolean unhashed;

  @Option(
      names = "--rate",
      paramLabel = "N",
      defaultValue = "800",
      description = "Files per second and bundle, ${DEFAULT-VALUE} if not said; 0 pauses.")
  private int rate;

  @Option(
      names = "--timeout",
      paramLabel = "MS",
      description = "Milliseconds that each bundle may take, 0 to 14400000.")
  private @Nullable Long timeout;

  @Option(names = "--json", description = "Print one JSON object per line.")
  private boolean json;

  @Parameters(
      paramLabel = "BUNDLE",
      description = "The bundles; all that may be, if none is named.")
  private @Nullable List<String> bundles;

  @Spec private @Nullable CommandSpec spec;

  @Override
  public Integer call() throws IOException {
    BackupOptions options = options();
    SnapshotStore target = SnapshotStore.open(Objects.requireNonNull(store));
    int problems = 0;
    try (BackupService service = connection.open()) {
      List<String> names = bundles;
      if (names == null) {
        CapabilityFile capabilities = CapabilityFile.askWithoutSizes(service);
        problems = capabilities.warn();
        names = capabilities.allowed();
        if (names.isEmpty()) {
          throw new IOException(
              "The device has no bundle to back up; 'backupkit bundle add' makes one");
        }
      }
      Output output = new Output(json);
      BackupReport report =
          full
              ? target.backupFull(service, names, options, output)
              : target.backup(service, names, options, output);
      int code = output.summary("Backed up", report.bundles(), report.elapsed());
      return code == 0 && problems > 0 ? Main.PARTIAL : code;
    }
  }

  private BackupOptions options() {
    try {
      Duration limit = timeout == null ? null : Duration.ofMillis(timeout);
      return new BackupOptions(!unhashed, rate, limit);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(Objects.requireNonNull(spec).commandLine(), e.getMessage());
    }
  }
}
