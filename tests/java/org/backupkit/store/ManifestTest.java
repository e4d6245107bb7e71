package org.backupkit.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.backupkit.store.Manifest.Row;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** That the store reads and writes what the service does: the same golden vectors. */
class ManifestTest {
  private static final Path GOLDEN = Path.of("tests/conformance/manifest");

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"types", "names", "empty"})
  void whatIsRead_isWrittenAgain(String name) throws IOException {
    Path golden = golden(name);
    Path written = written(Manifest.read(golden));
    assertArrayEquals(Files.readAllBytes(golden), Files.readAllBytes(written));
  }

  @ParameterizedTest
  @ValueSource(strings = {"types_16", "names_16", "empty_16"})
  void ofSixteenColumns_twoAreNotKnown(String name) throws IOException {
    Map<String, Row> rows = Manifest.read(golden(name));
    assertEquals(Manifest.read(golden(name.replace("_16", ""))).keySet(), rows.keySet());
    assertEquals(rows, Manifest.read(written(rows)));
    assertTrue(rows.values().stream().allMatch(row -> row.xattrs().equals(Manifest.UNKNOWN)));
    assertTrue(rows.values().stream().allMatch(row -> row.holes().equals(Manifest.UNKNOWN)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"types_17", "names_17", "empty_17"})
  void ofSeventeenColumns_theLastIsNotKnown(String name) throws IOException {
    Map<String, Row> rows = Manifest.read(golden(name));
    Map<String, Row> ofToday = Manifest.read(golden(name.replace("_17", "")));
    assertEquals(ofToday.keySet(), rows.keySet());
    assertEquals(rows, Manifest.read(written(rows)));
    for (Row row : rows.values()) {
      assertEquals(ofToday.get(row.path()).xattrs(), row.xattrs());
      assertEquals(Manifest.UNKNOWN, row.holes());
    }
  }

  @Test
  void aRow_hasWhatItsLineSays() throws IOException {
    Map<String, Row> rows = Manifest.read(golden("types"));
    Row link = rows.get("a/h");
    assertEquals(List.of("h", "a/f", "part.0.tar"), List.of(link.type(), link.target(), link.in()));
    assertEquals("xxh3:6c7d0ff71037d62ffc030cb2dd2409be", rows.get("f").xattrs());
    assertEquals("", rows.get("l").xattrs());
    assertEquals("xxh3:1a00745677e5e1b150c938c97916fbe1", rows.get("f").holes());
    assertEquals("", rows.get("l").holes());
    assertEquals("../there; 100%", rows.get("l").target());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"types", "names", "empty", "types_17", "names_17", "types_16", "names_16"})
  void itsFiles_areThoseOfItsRows(String name) throws IOException {
    assertEquals(namedBy(Manifest.read(golden(name)).values()), Manifest.files(golden(name)));
  }

  @Test
  void itsFiles_areThoseOfItsRows_howeverManyThereAre() throws IOException {
    Map<String, Row> rows = new LinkedHashMap<>();
    Row one = Manifest.read(golden("types")).get("f");
    for (int i = 0; i < 5000; i++) {
      String in = i % 7 == 0 ? "" : "part." + i / 1000 + i % 3 + ".tar";
      String path = i == 2500 ? "end" : "a".repeat(i % 100) + i;
      String line = String.join(";", path, one.line().split(";", 2)[1]);
      Row row = rowOf(line.replace(one.in(), in));
      rows.put(row.path(), row);
    }
    Path written = written(rows);
    assertTrue(Files.size(written) > 512 << 10);
    assertEquals(rows, Manifest.read(written));
    assertEquals(namedBy(rows.values()), Manifest.files(written));
  }

  @Test
  void whatIsTorn_isRefused() throws IOException {
    byte[] whole = Files.readAllBytes(golden("types"));
    int head = new String(whole, StandardCharsets.ISO_8859_1).indexOf("holes\n") + 6;
    for (int length = 0; length < whole.length; length++) {
      assertRefused(
          Arrays.copyOf(whole, length),
          length < head ? "is no manifest of version 2" : "is torn or damaged");
    }
  }

  @Test
  void whatIsDamaged_isRefused() throws IOException {
    byte[] whole = Files.readAllBytes(golden("types"));
    for (int i = 0; i < whole.length; i++) {
      byte[] damaged = whole.clone();
      damaged[i] ^= 1;
      assertRefused(damaged, "");
    }
  }

  @Test
  void moreThanAManifest_isRefused() throws IOException {
    String whole = Files.readString(golden("types"), StandardCharsets.ISO_8859_1);
    String head = whole.substring(0, whole.indexOf("\n.;") + 1);
    assertRefused(bytes(whole + "\n"), "is torn or damaged");
    assertRefused(bytes(whole + whole), "is torn or damaged");
    assertRefused(bytes(head + "a".repeat(1 << 20)), "is torn or damaged");
  }

  @Test
  void aForeignManifest_isRefused() throws IOException {
    assertRefused(Files.readAllBytes(golden("version1")), "is no manifest of version 2");
    assertRefused(bytes("x".repeat(1000)), "is no manifest of version 2");
    String types = Files.readString(golden("types"), StandardCharsets.ISO_8859_1);
    String names = Files.readString(golden("names"), StandardCharsets.ISO_8859_1);
    String end = names.substring(names.lastIndexOf("end;"));
    assertRefused(bytes(types.substring(0, types.lastIndexOf("end;")) + end), "is torn or damaged");
  }

  @Test
  void aLineOfTooFewColumns_isNoRow() throws IOException {
    Map<String, String> behindIn = Map.of("types", ";;;", "types_17", ";;", "types_16", ";");
    for (Map.Entry<String, String> columns : behindIn.entrySet()) {
      for (String line : List.of("", ";", "part.0.tar" + columns.getValue())) {
        assertRefused(ofOneLine(columns.getKey(), line), "\"" + line + "\" is no row");
      }
    }
  }

  private void assertRefused(byte[] manifest, String why) throws IOException {
    Path file = Files.write(folder.resolve("refused"), manifest);
    String message = assertThrows(IOException.class, () -> Manifest.files(file)).getMessage();
    assertTrue(message.contains(why), message);
    assertThrows(IOException.class, () -> Manifest.read(file));
  }

  /** A manifest that is right but for what its one line says. */
  private byte[] ofOneLine(String head, String line) throws IOException {
    String text = Files.readString(golden(head), StandardCharsets.ISO_8859_1);
    String before = text.substring(0, text.indexOf("\n.;") + 1) + line + "\n";
    Path file = Files.write(folder.resolve("before"), bytes(before));
    return bytes(before + Manifest.trailer(file, Files.size(file), 1) + "\n");
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  private Row rowOf(String line) throws IOException {
    Path file = Files.write(folder.resolve("one"), ofOneLine("types", line));
    return Manifest.read(file).values().iterator().next();
  }

  private static Map<String, Row> namedBy(Collection<Row> rows) {
    Map<String, Row> named = new TreeMap<>();
    rows.stream()
        .filter(row -> !row.in().isEmpty())
        .forEach(row -> named.putIfAbsent(row.in(), row));
    return named;
  }

  private Path written(Map<String, Row> rows) throws IOException {
    Path file = folder.resolve("written");
    try (Manifest.Writer writer = new Manifest.Writer(file)) {
      for (Row row : rows.values()) {
        writer.add(row);
      }
      writer.finish();
    }
    return file;
  }

  private static Path golden(String name) {
    return GOLDEN.resolve(name + ".manifest");
  }
}
