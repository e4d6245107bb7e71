package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
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
    Holding holder = new Holding(VICTIM);
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, holder)) {
      session.appendBundles(BUNDLES).get();
      assertTrue(holder.held.await(30, TimeUnit.SECONDS), "no file of the victim came");
      ProcessHandle victim = Extensions.of(service, device.root().resolve("data").resolve(VICTIM));
      assertTrue(victim.destroyForcibly(), "kill -9");
      victim.onExit().get(30, TimeUnit.SECONDS);
      holder.goOn.countDown();

      assertEquals(0, holder.awaitAll().code());
      for (String bundle : BUNDLES) {
        int code = bundle.equals(VICTIM) ? ErrorCode.EXTENSION_DIED.code() : 0;
        assertEquals(List.of(0), codes(holder.of(Kind.BEGIN, bundle)));
        int files = holder.of(Kind.FILE, bundle).size();
        // Each file, a part with their directory, manage.json; whoever was killed in the middle
        // gave fewer.
        assertTrue(code == 0 ? files == FILES + 2 : files < FILES, bundle + ": " + files);
        assertEquals(List.of(code), codes(holder.of(Kind.END, bundle)));
      }
      assertTrue(service.isAlive());
    }
    assertEquals(Kind.ALL, holder.notes().get(holder.notes().size() - 1).kind());
  }

  private static List<Integer> codes(List<Note> notes) {
    return notes.stream().map(Note::code).toList();
  }
}
