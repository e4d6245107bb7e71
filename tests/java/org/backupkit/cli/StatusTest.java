package org.backupkit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.backupkit.BackupException;
import org.backupkit.BackupFile;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.GeneralCallbacks;
import org.backupkit.ServiceProcess;
import org.backupkit.SessionBackup;
import org.backupkit.ShellHook;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The numbers of a service before, during and after its work. */
@Timeout(60)
class StatusTest {
  private static final String GOOD = "com.example.good";
  private static final String BAD = "com.example.bad";
  private static final String NONE = "com.example.none";
  private static final int SMALL = 1000;
  private static final int BIG = 3_000_000; // passed as it is

  @TempDir Path folder;
  private Device device;
  private Path socket;

  @BeforeEach
  void makeADevice() throws IOException {
    device = new Device(folder.resolve("device"));
    socket = folder.resolve("socket");
    Path sandbox = device.addBundle(GOOD);
    Files.write(sandbox.resolve("big"), Device.bytes(BIG));
    Files.write(sandbox.resolve("small"), Device.bytes(SMALL));
    device.addBundle(BAD);
    ShellHook.add(device, BAD, Map.of("onBackup", "answer '\"error\":\"the shelf is locked\"'"));
  }

  /** Takes no file of the good bundle until it may. */
  private static final class Held implements GeneralCallbacks {
    final CountDownLatch holds = new CountDownLatch(1);
    final CountDownLatch badEnded = new CountDownLatch(1);
    final CountDownLatch goOn = new CountDownLatch(1);
    final CountDownLatch allEnded = new CountDownLatch(1);

    @Override
    public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
      holds.countDown();
      try {
        goOn.await();
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
      if (file != null) {
        file.close();
      }
    }

    @Override
    public void onBundleEnd(@Nullable BackupException error, String bundleName) {
      if (bundleName.equals(BAD)) {
        badEnded.countDown();
      }
    }

    @Override
    public void onAllBundlesEnd(@Nullable BackupException error) {
      allEnded.countDown();
    }
  }

  @Test
  void theNumbersAreRight_beforeDuringAndAfterABackupOfWhichABundleFails() throws Exception {
    device.configure("{\"maxExtensions\": 1}"); // the bad one has ended before the good one begins
    try (ServiceProcess process = ServiceProcess.start(device.root(), socket);
        BackupService service = process.connect()) {
      JsonNode before = status();
      assertFalse(before.has("session"), before.toString());
      assertEquals(0, before.path("running").size());
      assertEquals("{\"0\":0}", before.path("ended").toString());
      assertEquals(0, before.path("files").asLong());
      assertTrue(before.path("residentBytes").asLong() > 100_000);

      Held held = new Held();
      try (SessionBackup session = new SessionBackup(service, held)) {
        session.appendBundles(List.of(BAD, NONE, GOOD)).get(30, TimeUnit.SECONDS);
        assertTrue(held.holds.await(30, TimeUnit.SECONDS));
        assertDuring(status());
        assertTrue(text().contains(GOOD), text());
        held.goOn.countDown();
        assertTrue(held.allEnded.await(30, TimeUnit.SECONDS));
        session.release().get(30, TimeUnit.SECONDS);
      }
      assertAfter(status());
    }
  }

  private static void assertDuring(JsonNode during) {
    JsonNode session = during.path("session");
    assertEquals("backup", session.path("kind").asText());
    assertEquals(ProcessHandle.current().pid(), session.path("pid").asLong());
    assertEquals(1, during.path("running").size(), during.toString());
    JsonNode running = during.path("running").path(0);
    assertEquals(GOOD, running.path("bundle").asText());
    assertFalse(running.path("phase").asText().isEmpty());
    assertEquals(60, running.path("rate").asLong());
    assertTrue(running.path("files").asLong() >= 1, during.toString());
    assertEquals("{\"0\":0,\"13500007\":1}", during.path("ended").toString());
    assertEquals("{\"13500001\":1}", during.path("refused").toString());
    assertEquals(0, during.path("waiting").asLong());
  }

  private static void assertAfter(JsonNode after) {
    assertFalse(after.has("session"), after.toString());
    assertEquals(0, after.path("running").size());
    assertEquals("{\"0\":1,\"13500007\":1}", after.path("ended").toString());
    assertEquals(3, after.path("files").asLong()); // an archive, the big file, the index
    assertEquals(SMALL, after.path("packed").asLong());
    assertEquals(BIG, after.path("passed").asLong());
    assertEquals(0, after.path("unpacked").asLong());
  }

  @Test
  void theMetricsAreOpenMetricsText_thatNamesNoBundleAtRest() throws Exception {
    try (ServiceProcess process = ServiceProcess.start(device.root(), socket);
        BackupService service = process.connect()) {
      assertTrue(service.isAlive());
      CommandRun run = CommandRun.of("status", "--socket", socket.toString(), "--metrics");
      assertEquals(0, run.code(), run.errors());
      assertTrue(run.output().startsWith("# TYPE "), run.output());
      assertTrue(run.output().endsWith("\n# EOF\n"), run.output());
      assertFalse(run.output().contains("bundle=\""), run.output());
      MetricsText metrics = MetricsText.read(run.output());
      assertEquals(3, metrics.sum("backupkit_connections_accepted_total")); // one to see it runs
      assertEquals(2, metrics.sum("backupkit_connections"));
    }
  }

  @Test
  void whoMayNotCall_isToldNoNumbers() throws Exception {
    device.configure("{\"callers\": []}");
    try (ServiceProcess process = ServiceProcess.start(device.root(), socket);
        BackupService service = process.connect()) {
      assertTrue(service.isAlive());
      CommandRun run = CommandRun.of("status", "--socket", socket.toString(), "--metrics");
      assertEquals(1, run.code());
      assertEquals("", run.output());
      assertTrue(run.errors().contains("no backup permission"), run.errors());
    }
  }

  @Test
  void withoutAService_oneSentenceSaysSo() {
    for (String form : List.of("--socket", "--metrics")) {
      CommandRun run =
          form.equals("--socket")
              ? CommandRun.of("status", "--socket", socket.toString())
              : CommandRun.of("status", "--socket", socket.toString(), form);
      assertEquals(1, run.code());
      assertEquals("", run.output());
      assertTrue(run.errors().startsWith("backupkit: no service answers: "), run.errors());
      assertTrue(run.errors().contains(socket.toString()), run.errors());
      assertEquals(1, run.errors().lines().count(), run.errors());
    }
  }

  @Test
  void labelsAreReadWithTheirEscapes() {
    MetricsText text =
        MetricsText.read("# TYPE a gauge\na{x=\"1\\\"\\\\\\n,}\",y=\"2\"} 3.5\n# EOF\n");
    assertEquals(Map.of("x", "1\"\\\n,}", "y", "2"), text.samples().get(0).labels());
    assertEquals(3.5, text.sum("a", "y", "2"));
    assertEquals(0, text.sum("a", "y", "3"));
    assertTrue(Double.isInfinite(MetricsText.read("b +Inf").sum("b")));
  }

  private JsonNode status() throws IOException {
    CommandRun run = CommandRun.of("status", "--socket", socket.toString(), "--json");
    assertEquals(0, run.code(), run.errors());
    assertEquals(1, run.output().lines().count());
    return CapabilityFile.MAPPER.readTree(run.output());
  }

  private String text() {
    return CommandRun.of("status", "--socket", socket.toString()).output();
  }
}
