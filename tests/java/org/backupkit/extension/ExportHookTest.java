package org.backupkit.extension;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import org.backupkit.PageExample;
import org.backupkit.Tool;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;
import org.junit.jupiter.api.io.TempDir;

/** The example app that exports, asked without a service. */
@Timeout(value = 60, threadMode = ThreadMode.SEPARATE_THREAD)
class ExportHookTest {
  private static final Path SOURCE = Path.of("tests/fixtures/apps/notes/ExportHook.java");

  @TempDir Path sandbox;
  @TempDir Path classes;

  @Test
  void saysHowFarItIs_whileItExports() throws Exception {
    Tool.need("mkfifo");
    Path vault = Files.createDirectory(sandbox.resolve("vault"));
    Files.createFile(vault.resolve("a"));
    Path pipe = vault.resolve("b"); // what is read of it only comes when it is written
    Tool.succeed("mkfifo", pipe.toString());
    PageExample.compile("ExportHook", Files.readString(SOURCE), classes);
    Process process = Hook.start(sandbox, Hook.java("ExportHook", classes));
    try {
      Hook hook = new Hook(process.getOutputStream(), process.getInputStream());
      hook.read();
      int backup = hook.send("onBackupEx", ",\"info\":\"\"");
      String one = "{\"progressInfo\":[{\"name\":\"notes\",\"processed\":1}]}";
      String said;
      do {
        said = hook.ask("onProcess", "").path("result").asText();
      } while (!said.equals(one));
      Files.writeString(pipe, "b");
      assertEquals("{\"exported\":2}", hook.answer(backup).path("result").asText());
      hook.close();
      assertEquals(0, process.waitFor());
    } finally {
      process.destroyForcibly();
    }
  }
}
