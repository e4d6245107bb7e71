package org.backupkit.extension;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;
import org.junit.jupiter.api.io.TempDir;

@Timeout(value = 60, threadMode = ThreadMode.SEPARATE_THREAD)
class BackupExtensionTest {
  @TempDir Path sandbox;

  /** An app that does to its thread and standard streams what apps do. */
  static final class Careless extends BackupExtension {
    public static void main(String[] arguments) {
      BackupExtension.run(new Careless());
      System.out.println("after the end");
    }

    @Override
    protected String onBackupEx(String backupInfo) throws IOException {
      System.out.println("{\"id\":1,\"error\":\"printed\"}");
      Thread.currentThread().interrupt();
      return System.in.read() + " " + context();
    }
  }

  @Test
  void prints_readsAndInterruptsOfTheApp_leaveTheChannelAlone() throws Exception {
    Process process = Hook.start(sandbox, Hook.java(Careless.class.getName()));
    try {
      Hook hook = new Hook(process.getOutputStream(), process.getInputStream());
      assertEquals("{\"hook\":1,\"calls\":[\"onBackupEx\"]}", hook.read());
      String context =
          new BackupExtensionContext("com.example.notes", sandbox, sandbox.resolve(".backup"))
              .toString();
      for (int i = 0; i < 2; i++) {
        assertEquals("-1 " + context, hook.ask("onBackupEx", "").path("result").asText());
      }
      hook.close();
      assertNull(hook.read());
      assertEquals(0, process.waitFor());
    } finally {
      process.destroyForcibly();
    }
  }

  @Test
  void run_outsideTheServiceSaysSo() throws Exception {
    ProcessBuilder builder =
        new ProcessBuilder(Hook.java(Careless.class.getName()))
            .redirectError(ProcessBuilder.Redirect.DISCARD);
    builder.environment().clear();
    Process process = builder.start();
    assertNull(new Hook(process.getOutputStream(), process.getInputStream()).read());
    assertNotEquals(0, process.waitFor());
    Map<String, String> nothing = Map.of();
    Throwable why =
        assertThrows(IllegalStateException.class, () -> BackupExtensionContext.from(nothing));
    assertEquals(
        "BACKUPKIT_BUNDLE is not set; the backup service starts this program and sets it",
        why.getMessage());
  }

  @Test
  void context_isNotThereBeforeRun() {
    BackupExtension extension = new BackupExtension() {};
    assertThrows(IllegalStateException.class, extension::context);
  }
}
