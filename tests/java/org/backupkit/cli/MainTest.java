package org.backupkit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class MainTest {
  @TempDir Path folder;
  private String output = "";
  private String errors = "";

  @Test
  void backupAndRestore_ofAnAddedBundle_areDone() throws IOException {
    Path root = device();
    Path note = root.resolve("data/notes/note.txt");
    String store = folder.resolve("store").toString();
    assertEquals(0, run("backup", "--root", root.toString(), "--to", store), errors);
    Files.delete(note);
    assertEquals(0, run("restore", "--root", root.toString(), "--from", store), errors);
    assertEquals("text", Files.readString(note));
    assertEquals(0, run("list", "--from", store), errors);
    assertTrue(output.startsWith("notes "), output);
  }

  @Test
  void anOutputThatCannotBeWritten_isAFailure() throws IOException {
    String root = device().toString();
    PrintStream usual = System.out;
    try (PrintStream full = new PrintStream("/dev/full", StandardCharsets.UTF_8)) {
      System.setOut(full);
      assertEquals(1, Main.run("bundle", "list", "--root", root));
    } finally {
      System.setOut(usual);
    }
  }

  @Test
  void backup_asJson_printsOneObjectPerLineAndASummary() throws IOException {
    Path root = device();
    String store = folder.resolve("store").toString();
    assertEquals(0, run("backup", "--root", root.toString(), "--to", store, "--json"), errors);
    String last = "";
    for (String line : output.strip().split("\n")) {
      last = CapabilityFile.MAPPER.readTree(line).path("event").asText();
    }
    assertEquals("summary", last);
  }

  @Test
  void backup_ofAnUnknownBundle_failsAndNamesIt() throws IOException {
    String store = folder.resolve("store").toString();
    assertEquals(1, run("backup", "--root", device().toString(), "--to", store, "nobody"));
    assertTrue(errors.contains("nobody") && errors.contains("13500001"), errors);
  }

  @Test
  void backup_withABrokenBundleFile_isPartialAndWarns() throws IOException {
    Path root = device();
    Files.writeString(root.resolve("etc/backupkit/bundles/broken.json"), "{");
    String store = folder.resolve("store").toString();
    assertEquals(3, run("backup", "--root", root.toString(), "--to", store), errors);
    assertTrue(errors.contains("broken.json"), errors);
  }

  @Test
  void capabilities_listsTheBundle() throws IOException {
    assertEquals(0, run("capabilities", "--root", device().toString()), errors);
    assertTrue(output.startsWith("notes "), output);
  }

  @Test
  void bundle_removed_isNotListed() throws IOException {
    Path root = device();
    assertEquals(0, run("bundle", "list", "--root", root.toString()), errors);
    assertTrue(output.contains("data/notes"), output);
    assertEquals(0, run("bundle", "remove", "notes", "--root", root.toString()), errors);
    assertEquals(0, run("bundle", "list", "--root", root.toString()), errors);
    assertEquals("", output);
    assertEquals(1, run("bundle", "remove", "notes", "--root", root.toString()));
  }

  @Test
  void bundle_explain_saysWhichRuleDecided() throws IOException {
    String root = device().toString();
    assertEquals(0, run("bundle", "explain", "notes", "note.txt", "--root", root), errors);
    assertEquals("'note.txt' is backed up: include '*' takes all", output.strip());
    assertEquals(1, run("bundle", "explain", "nobody", "note.txt", "--root", root));
    assertTrue(errors.contains("nobody"), errors);
    assertEquals(1, run("bundle", "explain", "notes", "../x", "--root", root));
    assertTrue(errors.contains("'../x' is no path inside a sandbox"), errors);
  }

  @Test
  void everyBundleCommand_explainsItself() {
    for (String command : List.of("add", "list", "remove", "explain")) {
      assertEquals(0, run("bundle", command, "--help"), errors);
      assertTrue(output.startsWith("Usage: backupkit bundle " + command + " "), output);
    }
  }

  @Test
  void wrongUse_isTwo_andOneSentence() {
    assertEquals(2, run("bench"));
    assertEquals(2, run("backup"));
    assertEquals(2, run());
    assertEquals(2, run("bundle", "add", "a/b", "--root", "/", "--data", "/"));
    assertEquals(1, errors.strip().lines().count(), errors);
  }

  @Test
  void failures_areOneSentenceWithThePath_withoutAStackTrace() throws IOException {
    String nowhere = folder.resolve("nowhere").toString();
    assertEquals(1, run("capabilities", "--root", nowhere));
    assertTrue(errors.contains(nowhere), errors);
    assertEquals(1, errors.strip().lines().count(), errors);
    assertEquals(1, run("list", "--from", nowhere));
    assertFalse(errors.contains("\tat "), errors);
    assertEquals(1, run("list", "--from", device().toString()));
    assertTrue(errors.contains("not a backup store"), errors);
  }

  @Test
  void comparison_seesModeTimeContentAndMissingEntries() throws IOException {
    Path left = Files.createDirectories(folder.resolve("left"));
    Path right = Files.createDirectories(folder.resolve("right"));
    Files.writeString(left.resolve("a"), "same");
    Files.copy(left.resolve("a"), right.resolve("a"), StandardCopyOption.COPY_ATTRIBUTES);
    Files.setLastModifiedTime(right.resolve("a"), Files.getLastModifiedTime(left.resolve("a")));
    assertEquals(0, TreeComparison.of(left, right).differenceCount());
    Files.writeString(left.resolve("gone"), "");
    Files.writeString(right.resolve("a"), "sane");
    Files.setLastModifiedTime(right.resolve("a"), Files.getLastModifiedTime(left.resolve("a")));
    assertEquals(2, TreeComparison.of(left, right).differenceCount());
  }

  private Path device() throws IOException {
    Path root = folder.resolve("device");
    Path data = Files.createDirectories(root.resolve("data/notes"));
    Files.writeString(data.resolve("note.txt"), "text");
    assertEquals(
        0,
        run("bundle", "add", "notes", "--root", root.toString(), "--data", data.toString()),
        errors);
    return root;
  }

  private int run(String... arguments) {
    CommandRun run = CommandRun.of(arguments);
    output = run.output();
    errors = run.errors();
    return run.code();
  }
}
