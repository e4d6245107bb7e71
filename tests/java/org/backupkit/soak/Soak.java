package org.backupkit.soak;

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.backupkit.Tool;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Runs sessions of all kinds with faults against one service, and checks the data after each. */
@Command(
    name = "backupkit soak",
    description = "Runs sessions of all kinds with random faults, and checks all data after each.")
public final class Soak implements Callable<Integer> {
  private static final long LINE_EVERY = TimeUnit.MINUTES.toNanos(1);

  @Spec private @Nullable CommandSpec spec;

  @Parameters(paramLabel = "MINUTES", arity = "0..1", description = "How long (${DEFAULT-VALUE}).")
  private int minutes = 10;

  @Option(names = "--seed", description = "Makes the same choices as a run that printed it.")
  private @Nullable Long seed;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Print this.")
  private boolean isHelp;

  private Soak() {}

  public static void main(String[] arguments) {
    System.exit(new CommandLine(new Soak()).execute(arguments));
  }

  @Override
  public Integer call() throws Exception {
    PrintWriter out = Objects.requireNonNull(spec).commandLine().getOut();
    long chosen = seed == null ? System.nanoTime() : seed;
    out.println("seed " + chosen);
    Path directory = Files.createTempDirectory("backupkit-soak-");
    try (SoakRun run = new SoakRun(directory, chosen)) {
      long start = System.nanoTime();
      long next = LINE_EVERY;
      for (long past = 0; past < TimeUnit.MINUTES.toNanos(minutes); ) {
        run.session().forEach(out::println);
        past = System.nanoTime() - start;
        if (past >= next) {
          out.println(TimeUnit.NANOSECONDS.toMinutes(past) + " min: " + run.line());
          next += LINE_EVERY;
        }
      }
      out.println(run.summary());
      return run.isWell() ? 0 : 1;
    } finally {
      Tool.remove(directory);
    }
  }
}
