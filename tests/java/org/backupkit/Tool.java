package org.backupkit;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/** Runs other programs for a test. */
public final class Tool {
  private Tool() {}

  /** What a program did; {@code output} has both of its streams. */
  public record Outcome(int status, String output) {}

  /** Skips the test, with the reason, where a program is missing. */
  public static void need(String... names) {
    for (String name : names) {
      Assumptions.assumeTrue(isInstalled(name), name + " is not installed");
    }
  }

  /** Runs a program to its end. */
  public static Outcome run(List<String> command) throws IOException, InterruptedException {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("LC_ALL", "C.UTF-8");
    Process process = builder.start();
    process.getOutputStream().close();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return new Outcome(process.waitFor(), output);
  }

  /** Runs a program that must succeed; gives what it wrote. */
  public static String succeed(String... command) throws IOException, InterruptedException {
    Outcome outcome = run(List.of(command));
    if (outcome.status() != 0) {
      throw new AssertionError(
          String.join(" ", command) + ": " + outcome.status() + "\n" + outcome.output());
    }
    return outcome.output();
  }

  /** Removes a tree, whatever its modes, names and paths are. */
  public static void remove(Path tree) throws IOException, InterruptedException {
    run(List.of("chmod", "-R", "u+rwx", tree.toString()));
    succeed("rm", "-rf", tree.toString());
  }

  /** Whether there is a program of that name. */
  public static boolean isInstalled(String name) {
    return Stream.of(System.getenv("PATH").split(File.pathSeparator))
        .anyMatch(folder -> Files.isExecutable(Path.of(folder, name)));
  }
}
