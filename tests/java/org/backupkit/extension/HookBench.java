package org.backupkit.extension;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.backupkit.Tool;

/**
 * What a hook in Java costs: from its start to its greeting and to its first answer, and each
 * further onProcess. Prints medians of 11 starts, beside those of the same in a shell.
 */
public final class HookBench {
  private static final int STARTS = 11;
  private static final int CALLS = 2000;
  private static final String SHELL =
      """
      echo '{"hook":1,"calls":["onBackup","onProcess"]}'
      while IFS= read -r line; do
        id=${line#'{"id":'}
        id=${id%%,*}
        printf '{"id":%s,"result":"half"}\\n' "$id"
      done
      """;

  private HookBench() {}

  /** The hook that is measured. */
  static final class Empty extends BackupExtension {
    public static void main(String[] arguments) {
      BackupExtension.run(new Empty());
    }

    @Override
    protected String onBackupEx(String backupInfo) {
      return "done";
    }

    @Override
    protected String onProcess() {
      return "half";
    }
  }

  /**
   * Of one start: milliseconds to the greeting and the first answer, microseconds for each call.
   */
  private record Run(double greeting, double first, double call) {}

  public static void main(String[] arguments) throws Exception {
    Path sandbox = Files.createTempDirectory("backupkit-bench-");
    try {
      System.out.println("         greeting ms   first answer ms   onProcess us");
      measure("Java", sandbox, Hook.java(Empty.class.getName()));
      measure("shell", sandbox, List.of("/bin/sh", "-c", SHELL));
    } finally {
      Tool.remove(sandbox);
    }
  }

  private static void measure(String name, Path sandbox, List<String> command) throws Exception {
    Run[] runs = new Run[STARTS];
    run(sandbox, command); // warms the caches
    for (int i = 0; i < STARTS; i++) {
      runs[i] = run(sandbox, command);
    }
    System.out.printf(
        "%-7s %12.1f %17.1f %14.1f%n",
        name,
        median(Arrays.stream(runs).mapToDouble(Run::greeting).toArray()),
        median(Arrays.stream(runs).mapToDouble(Run::first).toArray()),
        median(Arrays.stream(runs).mapToDouble(Run::call).toArray()));
  }

  private static Run run(Path sandbox, List<String> command) throws IOException {
    long start = System.nanoTime();
    Process process = Hook.start(sandbox, command);
    try (Hook hook = new Hook(process.getOutputStream(), process.getInputStream())) {
      hook.read();
      long greeted = System.nanoTime();
      hook.ask("onBackupEx", ",\"info\":\"\"");
      long answered = System.nanoTime();
      for (int i = 0; i < CALLS; i++) {
        hook.ask("onProcess", "");
      }
      long asked = System.nanoTime();
      return new Run(
          (greeted - start) / 1e6, (answered - start) / 1e6, (asked - answered) / 1e3 / CALLS);
    } finally {
      process.destroyForcibly();
    }
  }

  private static double median(double[] values) {
    Arrays.sort(values);
    return values[values.length / 2];
  }
}
