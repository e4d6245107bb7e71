package org.backupkit.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.backupkit.BackupService;
import org.backupkit.Extensions;
import org.backupkit.SessionBackup;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The end of a process that has a private service, in the middle of a backup. */
class OwnerTest extends OnDevice {
  private static final int SIGKILLED = 128 + 9;
  private static final int EXIT_CODE = 7;

  /** How it ends, inside a callback. */
  enum End {
    EXIT,
    HALT,
    /** By another process. */
    KILL
  }

  /** The process; it says the numbers of its service and of the extension, and ends. */
  public static final class Owner {
    private Owner() {}

    public static void main(String[] arguments) throws Exception {
      End end = End.valueOf(arguments[0]);
      BackupService service = BackupService.embedded(Path.of(arguments[1]));
      Events events =
          new Events()
              .receive(
                  file -> {
                    System.out.println(service.servicePid() + " " + Extensions.only(service).pid());
                    if (end == End.EXIT) {
                      System.exit(EXIT_CODE);
                    } else if (end == End.HALT) {
                      Runtime.getRuntime().halt(EXIT_CODE);
                    }
                  });
      SessionBackup session = new SessionBackup(service, events);
      session.appendBundles(List.of(HIWORLD)).get();
      Thread.currentThread().join();
    }
  }

  @ParameterizedTest
  @EnumSource
  void leavesNeitherServiceNorExtension(End end) throws Exception {
    device.configure("{\"packingLimit\": 0, \"maxSendRate\": 1}"); // it is not done so soon
    for (int i = 0; i < 100; i++) {
      Files.writeString(sandbox.resolve(i + ".txt"), "text");
    }
    Process owner =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xcheck:jni",
                "-cp",
                System.getProperty("java.class.path"),
                Owner.class.getName(),
                end.name(),
                device.root().toString())
            .redirectErrorStream(true)
            .start();
    String line = firstLine(owner.getInputStream());
    if (end == End.KILL) {
      owner.toHandle().destroyForcibly();
    }
    String rest = new String(owner.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(end == End.KILL ? SIGKILLED : EXIT_CODE, owner.waitFor(), line + rest);
    for (String process : line.split(" ")) {
      awaitTheEnd(process);
    }
    // Nothing of it is in the way.
    try (BackupService service = embedded();
        SessionBackup session = new SessionBackup(service, silent())) {
      assertEquals(0, codeOf(() -> session.appendBundles(List.of(HIWORLD))));
    }
  }

  private static String firstLine(InputStream in) throws IOException {
    StringBuilder line = new StringBuilder();
    for (int c = in.read(); c != '\n' && c >= 0; c = in.read()) {
      line.append((char) c);
    }
    return line.toString();
  }

  /** It may be left as a zombie to an init that reaps nobody. */
  private static void awaitTheEnd(String process) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    String state = stateOf(process);
    while (!state.equals("Z") && !state.isEmpty() && System.nanoTime() < end) {
      Thread.onSpinWait();
      state = stateOf(process);
    }
    assertEquals("", state.replace("Z", ""), "process " + process + " is left");
  }

  private static String stateOf(String process) {
    try {
      String status = Files.readString(Path.of("/proc", process, "stat"));
      return status.substring(status.lastIndexOf(')') + 2).substring(0, 1);
    } catch (IOException e) {
      return ""; // it is gone, or went while it was read
    }
  }
}
