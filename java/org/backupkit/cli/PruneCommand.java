package org.backupkit.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.backupkit.store.KeepRules;
import org.backupkit.store.PruneReport;
import org.backupkit.store.Snapshot;
import org.backupkit.store.SnapshotStore;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Removes old snapshots. */
@Command(
    name = "prune",
    description =
        "Removes the snapshots of each bundle that no rule keeps. One that a kept one needs stays.",
    mixinStandardHelpOptions = true)
final class PruneCommand implements Callable<Integer> {
  @Option(names = "--from", paramLabel = "STORE", required = true, description = "The store.")
  private @Nullable Path store;

  @Option(
      names = "--keep-last",
      paramLabel = "N",
      required = true,
      description = "Keep the newest N.")
  private int last;

  @Option(
      names = "--keep-daily",
      paramLabel = "N",
      description = "Keep the newest of each of the last N days that have one (UTC).")
  private int daily;

  @Option(
      names = "--keep-weekly",
      paramLabel = "N",
      description = "Keep the newest of each of the last N weeks that have one.")
  private int weekly;

  @Option(names = "--dry-run", description = "Say what would be removed, and remove nothing.")
  private boolean dry;

  @Spec private @Nullable CommandSpec spec;

  @Override
  public Integer call() throws IOException {
    KeepRules rules = rules();
    SnapshotStore target = SnapshotStore.open(Connection.directory(Objects.requireNonNull(store)));
    PruneReport report = dry ? target.planPrune(rules) : target.prune(rules);
    report.kept().forEach(snapshot -> line("kept", snapshot, ""));
    report
        .needed()
        .forEach((snapshot, by) -> line("needed", snapshot, "by " + String.join(", ", by)));
    String removed = dry ? "to remove" : "removed";
    report.removed().forEach(snapshot -> line(removed, snapshot, ""));
    System.out.printf(
        "%d %s, %s; %d kept, %d needed by them%n",
        report.removed().size(),
        removed,
        Output.size(report.bytes()),
        report.kept().size(),
        report.needed().size());
    return 0;
  }

  private KeepRules rules() {
    try {
      return new KeepRules(last, daily, weekly);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(Objects.requireNonNull(spec).commandLine(), e.getMessage());
    }
  }

  private static void line(String what, Snapshot snapshot, String why) {
    System.out.println(
        String.format("%-9s  %s  %s  %s", what, snapshot.bundle(), snapshot.id(), why).strip());
  }
}
