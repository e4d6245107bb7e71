package org.backupkit.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
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

  @Test
  void whatIsTorn_isRefused() throws IOException {
    byte[] whole = Files.readAllBytes(golden("types"));
    Path torn = folder.resolve("torn");
    for (int length = 0; length < whole.length - 1; length++) {
      Files.write(torn, Arrays.copyOf(whole, length));
      assertThrows(IOException.class, () -> Manifest.read(torn), "" + length);
    }
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
