package org.backupkit.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.backupkit.BackupService;
import org.backupkit.store.RestoreOptions;
import org.backupkit.store.RestorePlan;
import org.backupkit.store.RestoreReport;
import org.backupkit.store.Snapshot;
import org.backupkit.store.SnapshotStore;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Restores from a store. */
@Command(
    name = "restore",
    description = "Restores bundles from a store.",
    mixinStandardHelpOptions = true)
final class RestoreCommand implements Callable<Integer> {
  @Mixin private Connection connection = new Connection();

  @Option(names = "--from", paramLabel = "STORE", required = true, description = "The store.")
  private @Nullable Path store;

  @Option(
      names = "--snapshot",
      paramLabel = "ID",
      description = "The snapshot, as 'list' names it; the newest of each bundle otherwise.")
  private @Nullable String snapshot;

  @Option(
      names = "--mirror",
      description = "Remove what the snapshot lacks, so far as a backup would have taken it.")
  private boolean mirror;

  @Option(
      names = "--dry-run",
      description = "Say what would be done if all is as in the newest snapshot; asks no service.")
  private boolean dry;

  @Option(names = "--json", description = "Print one JSON object per line.")
  private boolean json;

  @Parameters(
      paramLabel = "BUNDLE",
      description = "The bundles; all that the store has, if none is named.")
  private @Nullable List<String> bundles;

  @Override
  public Integer call() throws IOException {
    SnapshotStore source = SnapshotStore.open(Connection.directory(Objects.requireNonNull(store)));
    Output output = new Output(json);
    List<String> names = bundles == null ? known(source) : bundles;
    if (names.isEmpty()) {
      String which = snapshot == null ? "snapshot" : "snapshot " + snapshot;
      throw new IOException(
          "The store \"" + store + "\" has no " + which + "; see 'backupkit list'");
    }
    RestoreOptions options =
        mirror ? new RestoreOptions(RestoreOptions.Mode.MIRROR) : RestoreOptions.defaults();
    if (dry) {
      source.planRestore(ids(source, names), options).forEach(this::print);
      return 0;
    }
    try (BackupService service = connection.open()) {
      RestoreReport report = source.restore(service, ids(source, names), options, output);
      return output.summary("Restored", report.bundles(), report.elapsed());
    }
  }

  private void print(RestorePlan plan) {
    if (json) {
      System.out.println(CapabilityFile.MAPPER.valueToTree(plan).toString());
      return;
    }
    plan.written().forEach(path -> System.out.println("new       " + path));
    plan.replaced().forEach(path -> System.out.println("replaced  " + path));
    plan.removed().forEach(path -> System.out.println("removed   " + path));
    System.out.printf(
        "%s: snapshot %s, %d entries, %d files to hand over, %s; %s%n",
        plan.bundle(),
        plan.snapshot(),
        plan.entries(),
        plan.files(),
        Output.size(plan.bytes()),
        plan.comparedWith().isEmpty()
            ? "it cannot be compared"
            : "compared with snapshot " + plan.comparedWith() + ", not with the device");
  }

  /** The chosen snapshot of each bundle, or its newest. */
  private Map<String, String> ids(SnapshotStore source, List<String> names) throws IOException {
    Map<String, String> ids = new LinkedHashMap<>();
    List<Snapshot> all = source.snapshots();
    for (String name : names) {
      String newest = snapshot;
      if (newest == null) {
        for (Snapshot found : all) {
          newest = found.bundle().equals(name) ? found.id() : newest;
        }
      }
      if (newest == null) {
        throw new IOException("The store \"" + store + "\" has no snapshot of \"" + name + "\"");
      }
      ids.put(name, newest);
    }
    return ids;
  }

  private List<String> known(SnapshotStore source) throws IOException {
    return source.snapshots().stream()
        .filter(found -> snapshot == null || snapshot.equals(found.id()))
        .map(Snapshot::bundle)
        .distinct()
        .toList();
  }
}
