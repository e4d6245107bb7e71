package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.backupkit.Journal.Kind;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What the service writes to its log. */
@Timeout(60)
class ServiceLogTest {
  private static final String GOOD = "com.example.good";
  private static final String BAD = "com.example.bad";
  private static final String NONE = "com.example.none";

  @TempDir Path directory;
  private Device device;
  private Path socket;

  @BeforeEach
  void makeADevice() throws IOException {
    device = new Device(directory.resolve("device"));
    socket = directory.resolve("socket");
    for (String bundle : List.of(GOOD, BAD)) {
      Path sandbox = device.addBundle(bundle);
      for (int i = 0; i < 20; i++) {
        Files.writeString(sandbox.resolve("note" + i), "a note");
      }
    }
    String message = "answer '\"error\":\"no\\nbackupd: all is well\"'";
    ShellHook.add(device, BAD, Map.of("onBackup", message));
  }

  @Test
  void eachBundleThatFails_isOneLineWithItsCodeAndReason() throws Exception {
    try (ServiceProcess process = ServiceProcess.startLogging(device.root(), socket, "warning")) {
      backUp(process, List.of(GOOD, BAD));
      String line = process.nextLine();
      assertTrue(line.startsWith("backupd: backup of '" + BAD + "' failed with 13500007: "), line);
      assertTrue(line.contains("no\\x0abackupd: all is well"), line);
      backUp(process, List.of(NONE));
      line = process.nextLine();
      String refused = "backupd: begin of the backup of '" + NONE + "' failed with 13500001: ";
      assertTrue(line.startsWith(refused), line);
    }
  }

  @Test
  void atInfo_sessionsAndBundlesBeginAndEnd_andFilesAreCountedNotNamed() throws Exception {
    try (ServiceProcess process = ServiceProcess.startLogging(device.root(), socket, "info")) {
      assertEquals("backupd: serves '" + device.root() + "'", process.nextLine());
      backUp(process, List.of(GOOD));
      String who = "process " + ProcessHandle.current().pid();
      String line = process.nextLine();
      assertTrue(line.startsWith("backupd: " + who + " (uid "), line);
      assertTrue(line.endsWith(") opened a backup session"), line);
      assertEquals("backupd: backup of '" + GOOD + "' begins", process.nextLine());
      line = process.nextLine();
      assertTrue(line.startsWith("backupd: backup of '" + GOOD + "' ended after "), line);
      assertTrue(line.endsWith(" s, 2 files were handed out"), line);
      line = process.nextLine();
      assertTrue(line.startsWith("backupd: the backup session of " + who + " ended after "), line);
      assertTrue(line.endsWith(" 1 bundles ended, 0 of them with an error, 0 did not begin"), line);
    }
  }

  @Test
  void aRequestThatIsRefused_isOneLine() throws Exception {
    try (ServiceProcess process = ServiceProcess.startLogging(device.root(), socket, "warning");
        BackupService service = process.connect();
        SessionBackup session = new SessionBackup(service, new Recorder());
        BackupService other = process.connect()) {
      assertThrows(BackupException.class, () -> new SessionBackup(other, new Recorder()).close());
      String line = process.nextLine();
      String who = "process " + ProcessHandle.current().pid() + " (uid ";
      assertTrue(line.startsWith("backupd: a request of " + who), line);
      assertTrue(line.contains(") failed with 13500013: a backup session of process "), line);
      session.release().get(30, TimeUnit.SECONDS);
    }
  }

  private static void backUp(ServiceProcess process, List<String> bundles) throws Exception {
    Journal journal = new Journal();
    try (BackupService service = process.connect();
        SessionBackup session = new SessionBackup(service, journal)) {
      session.appendBundles(bundles).get(30, TimeUnit.SECONDS);
      journal.await(Kind.ALL, "");
      session.release().get(30, TimeUnit.SECONDS);
    }
  }
}
