package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.backupkit.store.BundleResult;
import org.backupkit.store.ProgressEvent;
import org.backupkit.store.ProgressEvent.Kind;
import org.backupkit.store.SnapshotStore;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Two apps with hooks of their own, from a backup to its restore. */
@Timeout(60)
class ExampleAppsTest {
  private static final String APP = "com.example.app";
  private static final Path APPS = Path.of("tests/fixtures/apps").toAbsolutePath();

  @TempDir Path directory;
  private Device device;
  private Path sandbox;
  private SnapshotStore store;
  private final List<ProgressEvent> told = Collections.synchronizedList(new ArrayList<>());

  @BeforeEach
  void makeADevice() throws IOException {
    device = new Device(directory.resolve("device"));
    sandbox = device.addBundle(APP);
    store = SnapshotStore.open(directory.resolve("store"));
  }

  @Test
  void aLedgerOfVersion1_isMigratedWhenItIsRestored() throws Exception {
    needPython();
    sql("CREATE TABLE entries (day TEXT, amount TEXT)");
    sql("INSERT INTO entries VALUES ('monday', '3.5'), ('friday', '12')");
    assertEquals(0, backUp().code());
    installVersion2();
    assertEquals(0, restore().code());
    assertEquals("[('monday', 350), ('friday', 1200)]", sql("SELECT * FROM entries"));
    assertEquals("[(2,)]", sql("PRAGMA user_version"));
    assertEquals("2 entries of version 1.0", told(Kind.REPORT).get(0).text());
  }

  @Test
  void aLedgerThatCannotBeMigrated_leavesTheOneThatIsThere() throws Exception {
    needPython();
    sql("CREATE TABLE entries (day TEXT, amount TEXT)");
    sql("INSERT INTO entries VALUES ('monday', '3.5'), ('friday', 'a lot')");
    assertEquals(0, backUp().code());
    installVersion2();
    BundleResult result = restore();
    assertEquals(ErrorCode.EXTENSION_THREW.code(), result.code());
    assertTrue(result.message().contains("the amount 'a lot' is none"), result.message());
    assertEquals("[('sunday', 7)]", sql("SELECT * FROM entries"));
    assertEquals("[(2,)]", sql("PRAGMA user_version"));
  }

  @Test
  void notesInAFormatOfTheDevice_areExportedAndTakenInAgain() throws Exception {
    device.setRule(APP, "excludes", List.of("vault"));
    Path classes = Files.createDirectory(directory.resolve("classes"));
    String source = Files.readString(APPS.resolve("notes/ExportHook.java"));
    PageExample.compile("ExportHook", source, classes);
    device.setHook(
        APP,
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-cp",
            classes + ":" + System.getProperty("java.class.path"),
            "ExportHook"));
    device.letHook(APP, "reads", Path.of(System.getProperty("java.home")));
    device.letHook(APP, "reads", classes);
    for (String entry : System.getProperty("java.class.path").split(":")) {
      device.letHook(APP, "reads", Path.of(entry));
    }
    Path vault = Files.createDirectory(sandbox.resolve("vault"));
    Files.writeString(
        vault.resolve("a"), "\u00b7\u009a\u0093\u0093\u0090", StandardCharsets.ISO_8859_1);
    assertEquals(0, backUp().code());
    assertEquals("{\"exported\":1}", told(Kind.REPORT).get(0).text());
    assertFalse(Files.exists(sandbox.resolve("export")), "onRelease came last");

    Device.empty(vault);
    assertEquals(0, restore().code());
    assertEquals(
        "\u00b7\u009a\u0093\u0093\u0090",
        Files.readString(vault.resolve("a"), StandardCharsets.ISO_8859_1));
    assertFalse(Files.exists(sandbox.resolve("export")));
  }

  /** The app's new version, with data of its own. */
  private void installVersion2() throws Exception {
    Files.delete(sandbox.resolve("ledger.db"));
    sql("CREATE TABLE entries (day TEXT, cents INTEGER)");
    sql("INSERT INTO entries VALUES ('sunday', 7)");
    sql("PRAGMA user_version = 2");
    device.setHook(
        APP, List.of("/usr/bin/env", "python3", APPS.resolve("ledger/hook.py").toString()));
    device.letHook(APP, "reads", APPS.resolve("ledger"));
  }

  private BundleResult backUp() throws IOException {
    try (BackupService service = BackupService.embedded(device.root())) {
      return store.backup(service, List.of(APP), told::add).bundles().get(0);
    }
  }

  private BundleResult restore() throws IOException {
    told.clear();
    try (BackupService service = BackupService.embedded(device.root())) {
      return store.restore(service, List.of(APP), told::add).bundles().get(0);
    }
  }

  private List<ProgressEvent> told(Kind kind) {
    return List.copyOf(told).stream().filter(event -> event.kind() == kind).toList();
  }

  private String sql(String statement) throws Exception {
    String program =
        """
        import sqlite3, sys
        database = sqlite3.connect(sys.argv[1], isolation_level=None)
        print(database.execute(sys.argv[2]).fetchall())
        """;
    return Tool.succeed(
            "python3", "-c", program, sandbox.resolve("ledger.db").toString(), statement)
        .strip();
  }

  private static void needPython() throws Exception {
    Tool.need("python3");
    // As the hook finds it.
    List<String> asTheHook =
        List.of(
            "env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin", "python3", "-c", "import sqlite3");
    assumeTrue(Tool.run(asTheHook).status() == 0, "python3 has no sqlite3");
  }
}
