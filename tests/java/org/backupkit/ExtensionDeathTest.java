package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class ExtensionDeathTest {
  private static final String VICTIM = "com.example.victim";
  private static final List<String> BUNDLES = List.of("com.example.a", VICTIM, "com.example.z");
  // More than a client may have under way, so that the extension waits in the middle.
  private static final int FILES = 200;

  @TempDir Path directory;
  private Device device;

  @BeforeEach
  void makeADevice() throws IOException {
    device = new Device(directory.resolve("device"));
    device.configure("{\"packingLimit\": 100}");
    for (String bundle : BUNDLES) {
      Path sandbox = device.addBundle(bundle);
      for (int i = 0; i < FILES; ++i) {
        Files.write(sandbox.resolve(i + ".bin"), Device.bytes(1000));
      }
    }
  }

  @Test
  void aKilledExtensionEndsItsBundleOnly() throws Exception {
    Holder holder = new Holder();
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, holder)) {
      session.appendBundles(BUNDLES).get();
      assertTrue(holder.held.await(30, TimeUnit.SECONDS), "no file of the victim came");
      ProcessHandle victim = Extensions.of(service, device.root().resolve("data").resolve(VICTIM));
      assertTrue(victim.destroyForcibly(), "kill -9");
      victim.onExit().get(30, TimeUnit.SECONDS);
      holder.goOn.countDown();

      List<String> events = new ArrayList<>();
      for (String event = ""; !event.startsWith("all "); events.add(event)) {
        event = holder.next();
      }
      for (String bundle : BUNDLES) {
        int code = bundle.equals(VICTIM) ? ErrorCode.EXTENSION_DIED.code() : 0;
        assertEquals(1, count(events, "begin " + bundle + " 0"), events.toString());
        int files = holder.files.get(bundle).get();
        // Each file, a part with their directory, manage.json; whoever was killed in the middle
        // gave fewer.
        assertTrue(code == 0 ? files == FILES + 2 : files < FILES, bundle + ": " + files);
        assertEquals(1, count(events, "end " + bundle + " " + code), events.toString());
      }
      assertEquals(2 * BUNDLES.size() + 1, events.size(), events.toString());
      assertEquals("all 0", events.get(events.size() - 1));
      assertTrue(service.isAlive());
    }
    // The session is closed: nothing comes any more.
    assertEquals(List.of(), holder.left());
  }

  private static long count(List<String> events, String event) {
    return events.stream().filter(event::equals).count();
  }

  /** Does not return from the victim's first file until it may. */
  private static final class Holder extends Recorder {
    final CountDownLatch held = new CountDownLatch(1);
    final CountDownLatch goOn = new CountDownLatch(1);

    final Map<String, AtomicInteger> files = new ConcurrentHashMap<>();

    @Override
    public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
      if (file != null) {
        files.computeIfAbsent(file.bundleName(), bundle -> new AtomicInteger()).incrementAndGet();
      }
      if (file != null && file.bundleName().equals(VICTIM)) {
        held.countDown();
        try {
          goOn.await();
        } catch (InterruptedException e) {
          throw new IllegalStateException(e);
        }
      }
      super.onFileReady(error, file);
    }
  }
}
