package org.backupkit.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.backupkit.Tool;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * Measures us beside the programs that do the same, in turn, so that what else the machine does
 * falls on both. What it writes is below a directory, and it leaves {@code bench.json} there.
 */
@Command(name = "backupkit bench", description = "Measures speed beside tar, cp and rsync.")
public final class Bench implements Callable<Integer> {
  private final Path target;

  @Spec private @Nullable CommandSpec spec;

  @Parameters(
      paramLabel = "CASE",
      description =
          "Which cases to run, by name or last word, such as small; all if none is named.")
  private List<String> names = List.of();

  @Option(names = "--pairs", description = "How often all are run (${DEFAULT-VALUE}).")
  private int pairs = 5;

  @Option(names = "--files", description = "How many the small files are (${DEFAULT-VALUE}).")
  private int files = 100_000;

  @Option(names = "--million", description = "Measure growth up to ten times as many files, too.")
  private boolean isMillion;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Print this.")
  private boolean isHelp;

  private Bench(Path target) {
    this.target = target;
  }

  public static void main(String[] arguments) {
    PrintWriter out = new PrintWriter(System.out, true);
    System.exit(run(Path.of("target"), out, new PrintWriter(System.err, true), arguments));
  }

  /** Runs it in a directory; gives its exit code. */
  static int run(Path target, PrintWriter out, PrintWriter errors, String... arguments) {
    CommandLine line = new CommandLine(new Bench(target));
    line.getCommandSpec().usageMessage().width(100).footer(help());
    return line.setOut(out)
        .setErr(errors)
        .setParameterExceptionHandler((wrong, given) -> wrongUse(errors, wrong))
        .execute(arguments);
  }

  private static String[] help() {
    return Stream.concat(
            Stream.of("", "Cases:"),
            BenchCase.all().map(each -> String.format("  %-16s %s", each, each.description())))
        .toArray(String[]::new);
  }

  private static int wrongUse(PrintWriter errors, ParameterException wrong) {
    errors.println("backupkit: " + wrong.getMessage());
    return CommandLine.ExitCode.USAGE;
  }

  @Override
  public Integer call() throws Exception {
    if (pairs < 1 || files < 1) {
      throw wrong("Neither --pairs nor --files may be less than 1");
    }
    List<BenchCase> cases = cases();
    PrintWriter out = Objects.requireNonNull(spec).commandLine().getOut();
    ObjectNode json = new ObjectMapper().createObjectNode().put("pairs", pairs).put("files", files);
    ObjectNode machine = json.putObject("machine");
    Machine.facts(target)
        .forEach(
            (name, value) -> {
              machine.put(name, value);
              out.println(name + ": " + value);
            });
    out.println(Figures.HEADER);
    ArrayNode figures = json.putArray("cases");
    Path directory = target.resolve("bench").toAbsolutePath();
    if (Files.exists(directory)) { // from one that was interrupted
      remove(directory);
    }
    Files.createDirectory(directory);
    try {
      for (BenchCase what : cases) {
        for (Figures measured : measure(what, Files.createTempDirectory(directory, "case-"))) {
          out.println(measured.line());
          figures.add(measured.json());
        }
      }
    } finally {
      remove(directory);
    }
    Files.writeString(target.resolve("bench.json"), json.toPrettyString() + "\n");
    return 0;
  }

  private List<BenchCase> cases() {
    for (String name : names) {
      if (BenchCase.all().noneMatch(known -> known.isMeant(name))) {
        String known = BenchCase.all().map(BenchCase::toString).collect(Collectors.joining(", "));
        throw wrong("No case is \"" + name + "\"; there are " + known);
      }
    }
    return BenchCase.all()
        .filter(known -> names.isEmpty() || names.stream().anyMatch(known::isMeant))
        .toList();
  }

  private ParameterException wrong(String message) {
    return new ParameterException(Objects.requireNonNull(spec).commandLine(), message);
  }

  /** Runs one case; gives its figures in each row. */
  private List<Figures> measure(BenchCase what, Path directory) throws Exception {
    try {
      List<Figures> figures = what.rows().stream().map(row -> Figures.of(what, row)).toList();
      Measurement measurement = what.prepare(directory, new Scale(files, isMillion));
      for (int round = 0; round < pairs; round++) {
        Iterator<Measurement.Sample> samples = measurement.round(directory).iterator();
        figures.forEach(figure -> figure.add(samples.next()));
      }
      return figures;
    } finally {
      empty(directory);
    }
  }

  /**
   * Gives back the space of a directory's files. They are not removed while something is measured:
   * ext4 looks long for the inodes of new files among those that were freed a while ago.
   */
  static void empty(Path directory) throws IOException, InterruptedException {
    toAllFiles(directory, "truncate -s 0");
  }

  static void remove(Path directory) throws IOException, InterruptedException {
    toAllFiles(directory, "rm -f");
    Tool.remove(directory);
  }

  /** A file system that discards what is freed takes a file at a time from each process. */
  private static void toAllFiles(Path directory, String command)
      throws IOException, InterruptedException {
    String script = "find \"$1\" -type f -print0 | xargs -0 -r -n 200 -P 16 " + command;
    Tool.succeed("sh", "-c", script, "sh", directory.toString());
  }
}
