package org.backupkit.cli;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The command. Exit codes: 0 done, 1 failed, 2 wrong use, 3 partial. */
@Command(
    name = "backupkit",
    description = "Backs up and restores the data of the apps on a device.",
    mixinStandardHelpOptions = true,
    version = "backupkit",
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      DemoCommand.class,
      BundleCommand.class,
      CapabilitiesCommand.class,
      SizeCommand.class,
      BackupCommand.class,
      RestoreCommand.class,
      ListCommand.class,
      VerifyCommand.class,
      PruneCommand.class,
      RecoverCommand.class,
      ServeCommand.class,
      StatusCommand.class
    })
public final class Main implements Callable<Integer> {
  static final int FAILED = 1;
  static final int PARTIAL = 3;

  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = "--debug",
      scope = ScopeType.INHERIT,
      description = "Print the stack trace of a failure.")
  private boolean debug;

  private Main() {}

  /**
   * Runs the command and ends the process.
   *
   * @param arguments as the shell gives them
   */
  public static void main(String[] arguments) {
    System.exit(run(arguments));
  }

  /** Runs the command and gives its exit code. */
  static int run(String... arguments) {
    Main main = new Main();
    try {
      int code =
          new CommandLine(main)
              .setExecutionExceptionHandler((failure, line, parsed) -> main.report(failure))
              .setParameterExceptionHandler((wrong, given) -> wrongUse(wrong))
              .execute(arguments);
      // A PrintStream keeps its failures to itself.
      boolean isLost = System.out.checkError() && code == 0;
      return isLost ? main.report(new IOException("The output could not be written")) : code;
    } catch (LinkageError failure) { // the native library is not there, or not ours
      return main.report(failure);
    }
  }

  @Override
  public Integer call() {
    CommandSpec known = Objects.requireNonNull(spec);
    throw new ParameterException(known.commandLine(), "A command is missing");
  }

  private static int wrongUse(ParameterException wrong) {
    String command = wrong.getCommandLine().getCommandSpec().qualifiedName();
    System.err.println("backupkit: " + wrong.getMessage() + "; see '" + command + " --help'");
    return CommandLine.ExitCode.USAGE;
  }

  private int report(Throwable failure) {
    System.err.println("backupkit: " + sentence(failure));
    if (debug) {
      failure.printStackTrace();
    }
    return FAILED;
  }

  /** A file system's exception has the path as its message, and the reason in its type. */
  private static String sentence(Throwable failure) {
    String message = Objects.requireNonNullElse(failure.getMessage(), failure.toString());
    if (failure instanceof FileSystemException named) {
      String reason =
          Objects.requireNonNullElse(
              named.getReason(),
              named
                  .getClass()
                  .getSimpleName()
                  .replace("Exception", "")
                  .replaceAll("(?<=[a-z])(?=[A-Z])", " "));
      return "\"" + named.getFile() + "\": " + reason;
    }
    return message;
  }
}
