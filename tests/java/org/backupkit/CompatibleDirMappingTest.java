package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.backupkit.interop.Judges;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Directories of an app that its backup stores under other paths, when the app says so. */
@Timeout(60)
class CompatibleDirMappingTest {
  private static final String APP = "com.example.app";
  private static final String KEY = "compatibleDirMapping";
  private static final int BIG = 3 << 20;
  private static final String INTO_OTHER = "mv files other && touch -r \"$2/other\" other";
  private static final String INTO_NEW = "mkdir -m 700 new && mv files new/home && touch -d @0 new";

  @TempDir Path directory;
  private Device device;
  private Path sandbox;
  private Path choice;
  private BackupService service;
  private IncrementalRuns runs;

  @BeforeEach
  void makeAnApp() throws IOException {
    Device.openToAll(directory);
    device = new Device(directory.resolve("device"));
    sandbox = device.addBundle(APP);
    for (String file : List.of("files/a.txt", "files/deep/b.txt", "other/c.txt", "z.txt")) {
      Files.createDirectories(sandbox.resolve(file).getParent());
      Files.writeString(sandbox.resolve(file), file);
    }
    Files.write(sandbox.resolve("files/big.bin"), Device.bytes(BIG));
    Files.createDirectory(sandbox.resolve("files/empty"));
    Files.createSymbolicLink(sandbox.resolve("files/link"), Path.of("../z.txt"));
    Files.createLink(sandbox.resolve("files/same"), sandbox.resolve("z.txt"));
    device.setRule(
        APP,
        KEY,
        List.of(
            entry("/files/", "/other/files/"),
            entry("files", "new/home"),
            entry("files", "z.txt/x"),
            entry("files", "other"),
            entry("other", "files"),
            entry("z.txt", "y"),
            entry("none", "other/none")));
    choice = directory.resolve("choice");
    choose();
    ShellHook.add(
        device, APP, Map.of("onBackup", "answer \"\\\"result\\\":$(cat '" + choice + "')\""));
    device.letHook(APP, "reads", choice);
    service = BackupService.embedded(device.root());
    runs = new IncrementalRuns(service, APP, directory.resolve("store"));
  }

  @AfterEach
  void close() {
    service.close();
  }

  @Test
  void whatTheAppChooses_isStoredUnderItsRestoreDir_andComesBackThereWithoutAMapping()
      throws Exception {
    choose("other/files");
    runs.backUp();
    assertEquals(
        Set.of(
            ".",
            "other",
            "other/c.txt",
            "other/files",
            "other/files/a.txt",
            "other/files/big.bin",
            "other/files/deep",
            "other/files/deep/b.txt",
            "other/files/empty",
            "other/files/link",
            "other/files/same",
            "z.txt"),
        runs.rows(0).keySet());
    assertEquals("other/files/same", runs.rows(0).get("z.txt")[15]);
    Path expected = aside(INTO_OTHER);
    device.setRule(APP, KEY, List.of());
    restoresAs(expected, 0);
  }

  @Test
  void aFullBackup_hasTheStoredPathsInItsFiles() throws Exception {
    choose("new/home");
    Path store = Files.createDirectory(directory.resolve("full"));
    Journal journal = backUp(store);
    assertEquals(0, journal.await(Kind.END, APP).code());
    // The app's own result is told as it is.
    assertEquals("{\"" + KEY + "\":[\"new/home\"]}", journal.of(Kind.REPORT, APP).get(0).text());
    String part = store.resolve(APP).resolve("part.0.tar").toString();
    assertEquals(
        List.of(
            "./",
            "new/home/",
            "new/home/a.txt",
            "new/home/deep/",
            "new/home/deep/b.txt",
            "new/home/empty/",
            "new/home/link",
            "new/home/same",
            "other/",
            "other/c.txt",
            "z.txt"),
        Tool.succeed("tar", "-tf", part).lines().toList());
    String index = Files.readString(store.resolve(APP).resolve("manage.json"));
    assertTrue(index.contains("\"new/home/big.bin\""), index);
  }

  /** A directory that only the mapping has is the app's alone. */
  @Test
  void directoriesAboveARestoreDir_areMadeWhereTheyAreMissing() throws Exception {
    choose("new/home");
    runs.backUp();
    restoresAs(aside(INTO_NEW), 0);
  }

  @Test
  void anUnchangedTree_sendsNothingTheSecondTime() throws Exception {
    choose("other/files");
    runs.backUp();
    for (int run = 1; run < 3; run++) {
      assertEquals(List.of(), runs.backUp().sent(), "run " + run);
      assertEquals(runs.rows(0).keySet(), runs.rows(run).keySet());
    }
    Files.writeString(sandbox.resolve("files/deep/b.txt"), "changed");
    assertEquals(1, runs.backUp().sent().size());
    restoresAs(aside(INTO_OTHER), 3);
  }

  /** Switched on, changed, and off again. A big file is known wherever it is. */
  @Test
  void aMapping_mayChangeBetweenTwoBackups() throws Exception {
    List<Path> expected = new ArrayList<>();
    for (Chosen next :
        List.of(
            new Chosen("true"),
            new Chosen(INTO_OTHER, "other/files"),
            new Chosen(INTO_NEW, "new/home"),
            new Chosen("mv files x && mv other files && mv x other", "other", "files"),
            new Chosen("true"))) {
      choose(next.restoreDirs());
      List<String> sent = runs.backUp().sent();
      boolean hasBig = sent.stream().anyMatch(uri -> uri.endsWith(".bin"));
      assertEquals(expected.isEmpty(), hasBig, sent.toString());
      expected.add(aside(next.deed()));
    }
    for (int run = 0; run < expected.size(); run++) {
      restoresAs(expected.get(run), run);
    }
  }

  /** What the app chooses, and the same done to its data. */
  private record Chosen(String deed, String... restoreDirs) {}

  @Test
  void includesAndExcludes_areOfThePathsThatTheAppHas() throws Exception {
    device.setRule(APP, "includes", List.of("files"));
    device.setRule(APP, "excludes", List.of("files/deep", "other", "*.bin"));
    choose("other/files");
    runs.backUp();
    assertEquals(
        Set.of(
            "other/files",
            "other/files/a.txt",
            "other/files/empty",
            "other/files/link",
            "other/files/same"),
        runs.rows(0).keySet());
  }

  /** So many that threads read them ahead. */
  @Test
  void amongManyFiles_itIsTheSame() throws Exception {
    for (int i = 0; i < 300; i++) {
      Files.writeString(sandbox.resolve("files/deep/" + i), "f" + i);
      Files.writeString(sandbox.resolve("other/" + i), "o" + i);
    }
    choose("other/files");
    runs.backUp();
    restoresAs(aside(INTO_OTHER), 0);
  }

  /** By the rules of its own place: an include of only that. */
  @Test
  void aDatabaseInIt_isTakenWithWhatIsBesideIt() throws Exception {
    Tool.need("python3");
    String program =
        """
        import os, sqlite3, sys
        database = sqlite3.connect(sys.argv[1], isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE notes(text)")
        database.execute("INSERT INTO notes VALUES('of the log')")
        os._exit(0)
        """;
    Tool.Outcome made =
        Tool.run(List.of("python3", "-c", program, sandbox.resolve("files/app.db").toString()));
    assumeTrue(made.status() == 0, "python3 has no sqlite3");
    assertTrue(Files.exists(sandbox.resolve("files/app.db-wal")));
    device.setRule(APP, "includes", List.of("files"));
    choose("other/files");
    runs.backUp();
    Device.empty(sandbox);
    runs.restore(0);
    String query =
        """
        import sqlite3, sys
        print(sqlite3.connect(sys.argv[1]).execute("SELECT text FROM notes").fetchone()[0])
        """;
    String database = sandbox.resolve("other/files/app.db").toString();
    assertEquals("of the log\n", Tool.succeed("python3", "-c", query, database));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "a note",
        "{}",
        "[]",
        "{\\\"compatibleDirMapping\\\":[]}",
        "{\\\"other\\\":1}"
      })
  void aResultThatChoosesNothing_changesNothing(String result) throws Exception {
    answer(result);
    runs.backUp();
    assertTrue(runs.rows(0).containsKey("files/a.txt"));
  }

  @Test
  void aBackupDirThatIsNotThere_isNoObstacle() throws Exception {
    Files.createDirectories(sandbox.resolve("other/none"));
    choose("other/none");
    runs.backUp();
    assertTrue(runs.rows(0).containsKey("other/none"));
  }

  @ParameterizedTest
  @CsvSource({
    "'{`compatibleDirMapping`:`other/files`}', 13500007, is not a list",
    "'{`compatibleDirMapping`:{}}', 13500007, is not a list",
    "'{`compatibleDirMapping`:[7]}', 13500007, not a text",
    "'{`compatibleDirMapping`:[`files`,`x`]}', 13500007, '`x`, which is no restoreDir'",
    "'{`compatibleDirMapping`:[`other/files`,`new/home`]}', 13500007, '`files` go to'",
    "'{`compatibleDirMapping`:[`y`]}', 13900020, '`z.txt`, to be stored as `y`'",
    "'{`compatibleDirMapping`:[`other`]}', 13900020, '`other` is stored as `other` as well'",
    "'{`compatibleDirMapping`:[`z.txt/x`]}', 13900020, '`z.txt` is stored as `z.txt` as well'"
  })
  void aChoiceThatCannotBe_endsTheBundle(String result, int code, String message) throws Exception {
    answer(result.replace("`", "\\\""));
    Note end = backUp(Files.createDirectory(directory.resolve("full"))).await(Kind.END, APP);
    assertEquals(code, end.code(), end.toString());
    assertTrue(end.message().contains(message.replace('`', '\'')), end.message());
  }

  @Test
  void whatIsLost_isNamedByThePathThatItHas() throws Exception {
    Tool.need("python3");
    String program = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])";
    Tool.succeed(
        "sh", "-c", "cd \"$1\" && exec python3 -c \"$2\" s", "sh", sandbox + "/files", program);
    choose("other/files");
    Note end = backUp(Files.createDirectory(directory.resolve("full"))).await(Kind.END, APP);
    assertTrue(end.message().contains("files/s: socket"), end.message());
    assertFalse(end.message().contains("other/files/s"), end.message());
  }

  static Stream<Arguments> mistakes() {
    return Stream.of(
        Arguments.of(7, "is not a list"),
        Arguments.of(List.of("files"), "not an object"),
        Arguments.of(List.of(Map.of("restoreDir", "a")), "backupDir is no path"),
        Arguments.of(List.of(Map.of("backupDir", "a")), "restoreDir is no path"),
        Arguments.of(List.of(Map.of("backupDir", 7, "restoreDir", "a")), "backupDir is no path"),
        Arguments.of(List.of(entry("a/*", "b")), "backupDir is no path"),
        Arguments.of(List.of(entry("a", "*")), "restoreDir is no path"),
        Arguments.of(List.of(entry("/", "b")), "backupDir is no path"),
        Arguments.of(List.of(entry("a", "b/../c")), "restoreDir is no path"),
        Arguments.of(List.of(entry(".backup/x", "b")), "backupDir is no path"),
        Arguments.of(List.of(entry("a", ".backup")), "restoreDir is no path"),
        Arguments.of(List.of(entry("a", "c"), entry("b", "/c")), "'c' is the restoreDir of two"),
        Arguments.of(entries(1001), "has 1001 entries; the limit is 1000"));
  }

  @ParameterizedTest
  @MethodSource("mistakes")
  void aMistakeInTheBundleFile_isNamedAtTheBegin(Object mapping, String message) throws Exception {
    device.setRule(APP, KEY, mapping);
    Note begin = backUp(Files.createDirectory(directory.resolve("full"))).await(Kind.BEGIN, APP);
    assertEquals(ErrorCode.NOT_ADDED.code(), begin.code());
    assertTrue(begin.message().contains(KEY), begin.message());
    assertTrue(begin.message().contains(message), begin.message());
  }

  @Test
  void aThousandEntries_areNotTooMany() throws Exception {
    device.setRule(APP, KEY, entries(1000));
    Files.move(sandbox.resolve("files"), sandbox.resolve("from999"));
    choose("to999");
    runs.backUp();
    assertTrue(runs.rows(0).containsKey("to999/deep/b.txt"));
    assertFalse(runs.rows(0).containsKey("from999"));
  }

  private static Map<String, String> entry(String from, String to) {
    return Map.of("backupDir", from, "restoreDir", to);
  }

  private static List<Map<String, String>> entries(int count) {
    return IntStream.range(0, count).mapToObj(i -> entry("from" + i, "to" + i)).toList();
  }

  /** Has the app's onBackup choose these. */
  private void choose(String... restoreDirs) throws IOException {
    List<String> quoted = Stream.of(restoreDirs).map(dir -> "\\\"" + dir + "\\\"").toList();
    answer("{\\\"" + KEY + "\\\":[" + String.join(",", quoted) + "]}");
  }

  /** Has it give that result, in which quotes are escaped. */
  private void answer(String result) throws IOException {
    Files.writeString(choice, "\"" + result + "\"");
  }

  private Journal backUp(Path store) throws Exception {
    Journal journal = new Journal(store);
    try (SessionBackup session = new SessionBackup(service, journal)) {
      session.appendBundles(List.of(APP)).get();
      journal.awaitAll();
    }
    return journal;
  }

  /** A copy of the app's data, {@code $2}, in which a shell has done that. */
  private Path aside(String deed) throws Exception {
    Judges.need();
    Path copy = directory.resolve("aside" + directory.toFile().list().length);
    Tool.succeed("cp", "-a", sandbox.toString(), copy.toString());
    String script = "cd \"$1\" && " + deed + " && touch -r \"$2\" .";
    Tool.succeed("sh", "-c", script, "sh", copy.toString(), sandbox.toString());
    return copy;
  }

  private void restoresAs(Path expected, int run) throws Exception {
    Device.empty(sandbox);
    runs.restore(run);
    Path made = sandbox.resolve("new");
    if (Files.exists(made)) {
      Files.setLastModifiedTime(made, FileTime.fromMillis(0));
    }
    Judges.assertSame(expected, sandbox);
  }
}
