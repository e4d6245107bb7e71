package org.backupkit.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.backupkit.BackupException;
import org.backupkit.ErrorCode;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a store of other origin may say, and is refused. */
@Timeout(60)
class ForeignStoreTest {
  private static final String ID = "20260102T030405.006Z";

  @TempDir Path folder;
  private Path snapshot;

  @BeforeEach
  void makeSnapshot() throws IOException {
    snapshot = Files.createDirectories(folder.resolve("com.example.notes").resolve(ID));
  }

  @Test
  void aDescription_namesFilesOfItsOwnDirectoryAlone() throws IOException {
    Description.write(snapshot, description("0.part_A.tar"));
    assertEquals(List.of("0.part_A.tar"), List.copyOf(Description.read(snapshot).files().keySet()));
    for (String name :
        List.of("", ".", "..", "../x", "/x", "a/b", "a b", "\0", "é", "a".repeat(256))) {
      assertRefused(description(name));
    }
  }

  @Test
  void aDescription_needsSnapshotsBesideItAlone() throws IOException {
    ObjectNode right = description("a").put("base", ID);
    right.putArray("needs").add(ID);
    Description.write(snapshot, right);
    assertEquals(List.of(ID), Description.read(snapshot).needs());
    for (String other : List.of("", "..", "../" + ID, ID + "/..", "20261302T030405.006Z")) {
      ObjectNode needing = description("a");
      needing.putArray("needs").add(other);
      assertRefused(needing);
      assertRefused(description("a").put("base", other));
    }
  }

  @Test
  void aDirectoryWhoseNameIsNoTime_isNoSnapshot() throws IOException {
    Files.writeString(folder.resolve("backupkit-store.json"), "{\"format\":2}");
    for (String id :
        List.of("20261302T030405.006Z", "20260231T030405.006Z", "20260102T240000.000Z")) {
      Files.createDirectory(snapshot.resolveSibling(id));
    }
    List<Snapshot> found = SnapshotStore.open(folder).snapshots();
    assertEquals(List.of(snapshot), found.stream().map(Snapshot::directory).toList());
  }

  @Test
  void aPercentSign_hasTwoDigitsBehindIt() throws IOException {
    assertEquals("a;%", Manifest.decoded("a%3B%25"));
    for (String text : List.of("%", "a%2", "%zz", "%+1", "%-1", "% 1")) {
      assertThrows(IOException.class, () -> Manifest.decoded(text), text);
    }
  }

  @Test
  void aHeader_hasNoNegativeSize() throws IOException {
    assertEquals(8, header("00000000010", Map.of()).stored());
    for (String size : List.of("-0000000010", "+0000000010", "0000 000010", "00000000018")) {
      assertThrows(IOException.class, () -> header(size, Map.of()).stored(), size);
    }
    for (String size : List.of("-1", "+1", "", "1e3")) {
      assertThrows(IOException.class, () -> header("0", Map.of("size", size)).stored(), size);
    }
  }

  @Test
  void aTime_hasNoExponent() {
    Manifest.Row row =
        new Manifest.Row("", "a", 0100600, 0, "", false, "f", "0", "0", "0", "", "", "", "");
    for (String time : List.of("1e999999999", "1E9", "x", "", "1.", "--1")) {
      assertThrows(
          IOException.class, () -> header("0", Map.of("mtime", time)).attributeNotOf(row), time);
    }
  }

  private static ObjectNode description(String file) {
    ObjectNode content = Json.object().put("format", Description.FORMAT);
    content.putArray("files").addObject().put("name", file).put("size", 1).put("hash", "");
    return content;
  }

  private void assertRefused(ObjectNode content) throws IOException {
    Description.write(snapshot, content);
    BackupException refused =
        assertThrows(BackupException.class, () -> Description.read(snapshot), content.toString());
    assertEquals(ErrorCode.UNPACK_FAILED, refused.error());
  }

  /** A header whose mode and owner are those of a file of root. */
  private static PartHeader header(String size, Map<String, String> records) throws IOException {
    byte[] block = new byte[PartHeader.BLOCK];
    put(block, 100, "0000600\0" + "0000000\0".repeat(2) + size);
    put(block, 136, "00000000000");
    Arrays.fill(block, 148, 156, (byte) ' ');
    int sum = 0;
    for (byte one : block) {
      sum += Byte.toUnsignedInt(one);
    }
    put(block, 148, String.format("%06o\0 ", sum));
    return PartHeader.of(block, records);
  }

  private static void put(byte[] block, int at, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
    System.arraycopy(bytes, 0, block, at, bytes.length);
  }
}
