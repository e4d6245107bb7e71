package org.backupkit.extension;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.backupkit.PageExample;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;
import org.junit.jupiter.api.io.TempDir;

/** The examples of HOOK.md are hooks that work. */
@Timeout(value = 60, threadMode = ThreadMode.SEPARATE_THREAD)
class HookPageTest {
  private static final Path PAGE = Path.of("native/extension/HOOK.md");
  private static final String VERSION = ",\"version\":{\"code\":1,\"name\":\"1.0\"}";
  // What looks like a call inside a text is none.
  private static final String TRAP =
      ",\"version\":{\"code\":1,\"name\":\"{\\\"id\\\":9,\\\"call\\\":\\\"onBackup\\\"}\"}";

  @TempDir Path sandbox;
  @TempDir Path programs;

  @BeforeEach
  void makeNotes() throws IOException {
    Files.createDirectory(sandbox.resolve("notes"));
    Files.writeString(sandbox.resolve("notes/b.txt"), "b");
    Files.writeString(sandbox.resolve("notes/a.txt"), "a");
  }

  @Test
  void theJavaExample_isAHook() throws Exception {
    PageExample.compile("NotesHook", PageExample.in(PAGE, "java"), programs);
    Process process = Hook.start(sandbox, Hook.java("NotesHook", programs));
    try {
      Hook hook = new Hook(process.getOutputStream(), process.getInputStream());
      assertEquals(
          "{\"hook\":1,\"calls\":[\"onBackup\",\"onRestore\",\"onProcess\"]}", hook.read());
      assertEquals("waiting", hook.ask("onProcess", "").path("result").asText());
      serveAndEnd(hook, process);
    } finally {
      process.destroyForcibly();
    }
  }

  @Test
  void theShellExample_isAHook() throws Exception {
    Path script = Files.writeString(programs.resolve("hook"), PageExample.in(PAGE, "sh"));
    Process process = Hook.start(sandbox, List.of("sh", script.toString()));
    try {
      Hook hook = new Hook(process.getOutputStream(), process.getInputStream());
      assertEquals("{\"hook\":1,\"calls\":[\"onBackup\",\"onRestore\"]}", hook.read());
      serveAndEnd(hook, process);
    } finally {
      process.destroyForcibly();
    }
  }

  private void serveAndEnd(Hook hook, Process process) throws Exception {
    Path index = sandbox.resolve("index.txt");
    assertEquals("", hook.ask("onBackup", "").path("result").asText());
    assertEquals("a.txt\nb.txt\n", Files.readString(index));

    hook.line("");
    hook.line("not JSON");
    assertEquals("", hook.ask("onRestore", TRAP).path("result").asText());
    assertFalse(Files.exists(index));

    Files.move(sandbox.resolve("notes"), sandbox.resolve("elsewhere"));
    String error = hook.ask("onBackup", "").path("error").asText();
    assertTrue(error.contains("notes"), error);
    assertFalse(hook.ask("onRestore", VERSION).has("error"));

    hook.close();
    assertNull(hook.read());
    assertEquals(0, process.waitFor());
  }
}
