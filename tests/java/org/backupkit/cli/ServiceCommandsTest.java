package org.backupkit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.GeneralCallbacks;
import org.backupkit.ServiceProcess;
import org.backupkit.SessionBackup;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What the command asks of a service: pace, sizes, state. */
@Timeout(60)
class ServiceCommandsTest {
  private static final String BUNDLE = "com.example.notes";

  @TempDir Path folder;
  private Device device;
  private String root;
  private String store;

  @BeforeEach
  void makeDevice() throws IOException {
    device = new Device(folder.resolve("device"));
    Files.write(device.addBundle(BUNDLE).resolve("note.txt"), Device.bytes(12_345));
    root = device.root().toString();
    store = folder.resolve("store").toString();
  }

  @Test
  void backup_atRateZero_sendsNothingAndIsEndedByItsTimeout() throws IOException {
    CommandRun run =
        CommandRun.of("backup", "--root", root, "--to", store, "--rate", "0", "--timeout", "300");
    assertEquals(1, run.code(), run.errors());
    assertTrue(run.errors().contains("13500003"), run.errors());
    assertEquals("", CommandRun.of("list", "--from", store).output());
  }

  @Test
  void backup_withinItsTimeoutAndAtALowRate_isDone() {
    CommandRun run =
        CommandRun.of("backup", "--root", root, "--to", store, "--rate", "9", "--timeout", "50000");
    assertEquals(0, run.code(), run.errors());
  }

  @Test
  void backup_withARateOrTimeoutThatCannotBe_isWrongUse() {
    for (String[] wrong :
        new String[][] {
          {"--rate", "-1"}, {"--rate", "x"}, {"--timeout", "-1"}, {"--timeout", "14400001"}
        }) {
      CommandRun run = CommandRun.of("backup", "--root", root, "--to", store, wrong[0], wrong[1]);
      assertEquals(2, run.code(), wrong[0] + " " + wrong[1]);
      assertEquals(1, run.errors().strip().lines().count(), run.errors());
    }
    assertFalse(Files.exists(Path.of(store)));
  }

  @Test
  void size_ofEveryBundle_isThatOfItsFiles() throws IOException {
    device.addBundle("com.example.empty");
    CommandRun run = CommandRun.of("size", "--root", root, "--precise");
    assertEquals(0, run.code(), run.errors());
    assertTrue(run.output().contains("12.3 kB"), run.output());
    assertEquals(2, run.output().lines().count());
  }

  @Test
  void size_tellsOfABundleFileThatIsLeftOut() throws IOException {
    Path broken = device.bundleFile("com.example.broken");
    Files.writeString(broken, "{");
    CommandRun run = CommandRun.of("size", "--root", root);
    assertEquals(3, run.code(), run.errors());
    assertTrue(run.errors().contains("\"com.example.broken\" is left out: "), run.errors());
    assertTrue(run.output().contains(BUNDLE), run.output());
  }

  @Test
  void aBundleThatCannotBeCounted_isNotSaidToBeLeftOut() throws IOException {
    Device.empty(device.addBundle("com.example.gone"));
    Files.delete(device.sandbox("com.example.gone"));
    CommandRun run = CommandRun.of("capabilities", "--root", root);
    assertTrue(run.errors().contains("warning: \"com.example.gone\": "), run.errors());
    assertFalse(run.errors().contains("left out"), run.errors());
  }

  @Test
  void size_isAnUpperBoundUntilTheFilesWereCounted() throws IOException {
    assertTrue(CommandRun.of("size", "--root", root).output().contains("(upper bound)"));
    assertFalse(CommandRun.of("size", "--root", root, "--precise").output().contains("("));
    String last = CommandRun.of("size", "--root", root).output();
    assertTrue(last.contains("12.3 kB  (last known)"), last);
  }

  @Test
  void size_asJson_isWhatTheServiceReports() throws IOException {
    CommandRun run = CommandRun.of("size", "--root", root, "--precise", "--json", BUNDLE);
    assertEquals(0, run.code(), run.errors());
    JsonNode bundle = CapabilityFile.MAPPER.readTree(run.output());
    assertEquals(BUNDLE, bundle.path("bundleName").asText());
    assertEquals(12_345, bundle.path("dataSize").asLong());
  }

  @Test
  void size_ofABundleThatIsNotThere_failsAndNamesIt() {
    CommandRun run = CommandRun.of("size", "--root", root, BUNDLE, "com.example.none");
    assertEquals(1, run.code());
    assertTrue(run.errors().contains("com.example.none"), run.errors());
    assertTrue(run.output().contains(BUNDLE), run.output());
  }

  @Test
  void status_ofARunningService_saysItsProcessVersionAndBundlesAlsoDuringASession()
      throws Exception {
    Path socket = folder.resolve("s");
    try (ServiceProcess process = ServiceProcess.start(device.root(), socket);
        BackupService service = process.connect()) {
      SessionBackup session = new SessionBackup(service, new GeneralCallbacks() {});
      JsonNode status = status(0, socket);
      assertTrue(status.path("answers").asBoolean());
      assertEquals(service.servicePid(), status.path("pid").asLong());
      assertEquals("1.0", status.path("backupVersion").asText());
      assertEquals(1, status.path("bundles").asInt());
      session.close();
      CommandRun run = CommandRun.of("status", "--socket", socket.toString());
      assertEquals(0, run.code(), run.errors());
      assertTrue(run.output().contains("" + service.servicePid()), run.output());
    }
  }

  @Test
  void status_withoutAService_failsAndSaysThatItDoesNotAnswer() throws IOException {
    Path nobody = folder.resolve("nobody");
    JsonNode status = status(1, nobody);
    assertFalse(status.path("answers").asBoolean(true));
    assertEquals(13600001, status.path("code").asInt());
    CommandRun run = CommandRun.of("status", "--socket", nobody.toString());
    assertEquals(1, run.code());
    assertTrue(run.errors().contains(nobody.toString()), run.errors());
  }

  private static JsonNode status(int code, Path socket) throws IOException {
    CommandRun run = CommandRun.of("status", "--socket", socket.toString(), "--json");
    assertEquals(code, run.code(), run.errors());
    return CapabilityFile.MAPPER.readTree(run.output());
  }
}
