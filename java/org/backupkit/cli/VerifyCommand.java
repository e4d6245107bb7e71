package org.backupkit.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.backupkit.store.Progress;
import org.backupkit.store.SnapshotStore;
import org.backupkit.store.VerifyReport;
import org.backupkit.store.VerifyReport.Damage;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Looks for damage in a store. */
@Command(
    name = "verify",
    description = "Compares the bytes of a store with their hashes. Needs no service.",
    mixinStandardHelpOptions = true)
final class VerifyCommand implements Callable<Integer> {
  @Option(names = "--from", paramLabel = "STORE", required = true, description = "The store.")
  private @Nullable Path store;

  @Option(
      names = "--sample",
      paramLabel = "PERCENT",
      defaultValue = "100",
      description = "Read so many of a hundred files, by chance; all, if not said.")
  private int percent;

  @Option(names = "--json", description = "Print one JSON object per line.")
  private boolean json;

  @Spec private @Nullable CommandSpec spec;

  @Override
  public Integer call() throws IOException {
    if (percent < 0 || percent > 100) {
      throw new ParameterException(
          Objects.requireNonNull(spec).commandLine(), "--sample takes 0 to 100");
    }
    Path directory = Connection.directory(Objects.requireNonNull(store));
    Progress progress = json ? new Output(true) : Progress.NONE;
    VerifyReport report = SnapshotStore.open(directory).verify(percent, progress);
    if (json) {
      ObjectNode summary = CapabilityFile.MAPPER.createObjectNode().put("event", "summary");
      summary.put("snapshots", report.snapshots()).put("files", report.files());
      summary.put("hashed", report.hashed()).put("unhashed", report.unhashed());
      summary.put("bytes", report.bytes()).put("seconds", report.elapsed().toNanos() / 1e9);
      summary.set("damage", CapabilityFile.MAPPER.valueToTree(report.damage()));
      System.out.println(summary);
    } else {
      report.damage().forEach(damage -> System.err.println(line(damage)));
      System.out.printf(
          Locale.ROOT,
          "Verified %d of %d files in %d snapshots, %s in %.2f s: %s%n",
          report.hashed(),
          report.files(),
          report.snapshots(),
          Output.size(report.bytes()),
          report.elapsed().toNanos() / 1e9,
          report.succeeded() ? "no damage" : report.damage().size() + " damaged");
    }
    return report.succeeded() ? 0 : Main.FAILED;
  }

  private static String line(Damage damage) {
    String entry = damage.entry().isEmpty() ? "" : ", \"" + damage.entry() + "\"";
    String snapshot =
        damage.bundle().isEmpty() ? "" : damage.bundle() + ", snapshot " + damage.snapshot() + ", ";
    return String.format(
        "backupkit: damaged: %sfile \"%s\"%s: %s",
        snapshot, damage.file(), entry, damage.message());
  }
}
