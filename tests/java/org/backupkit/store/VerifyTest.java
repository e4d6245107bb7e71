package org.backupkit.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.backupkit.BackupException;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.store.VerifyReport.Damage;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** That no damaged byte of a store goes unseen, and that it is named. */
@Timeout(120)
class VerifyTest {
  private static final String BUNDLE = "com.example.notes";

  @TempDir Path folder;
  private SnapshotStore store;

  @BeforeEach
  void makeAChain() throws IOException {
    Device device = new Device(folder.resolve("device"));
    device.configure("{\"packingLimit\": 4096}");
    Path sandbox = device.addBundle(BUNDLE);
    Files.createDirectories(sandbox.resolve("letters"));
    for (int i = 0; i < 5; i++) {
      Files.write(sandbox.resolve("letters/" + i + ".txt"), Device.bytes(700 + i));
    }
    Path dated = Files.writeString(sandbox.resolve("n".repeat(120)), "long");
    Files.setLastModifiedTime(dated, FileTime.fromMillis(-1500));
    Files.createSymbolicLink(sandbox.resolve("link"), Path.of("letters/1.txt"));
    Files.createLink(sandbox.resolve("same"), sandbox.resolve("letters/1.txt"));
    Files.write(sandbox.resolve("big;.bin"), Device.bytes(9000));
    store = SnapshotStore.open(folder.resolve("store"));
    try (BackupService service = BackupService.embedded(device.root())) {
      assertTrue(store.backup(service, List.of(BUNDLE), Progress.NONE).succeeded());
      Files.writeString(sandbox.resolve("letters/0.txt"), "changed");
      assertTrue(store.backup(service, List.of(BUNDLE), Progress.NONE).succeeded());
    }
  }

  @Test
  void anUndamagedStore_isWhole_andEveryByteWasRead() throws IOException {
    VerifyReport report = store.verify(100, Progress.NONE);
    assertEquals(List.of(), report.damage());
    assertEquals(2, report.snapshots());
    assertEquals(report.files(), report.hashed());
    assertEquals(store.verify(0, Progress.NONE).files(), report.files());
  }

  @Test
  void everyFlippedByteOfAPart_namesTheEntryItIsIn() throws IOException {
    Path part = part(store.snapshots().get(0));
    byte[] whole = Files.readAllBytes(part);
    String text = new String(whole, StandardCharsets.ISO_8859_1);
    int header = text.indexOf("letters/3.txt\0");
    int body = header + 512;
    for (int at : new int[] {header + 3, header + 130, header + 150, body + 5, body + 702}) {
      byte[] flipped = whole.clone();
      flipped[at] ^= 1;
      Files.write(part, flipped);
      List<Damage> damage = store.verify(100, Progress.NONE).damage();
      assertEquals("letters/3.txt", damage.get(0).entry(), at - header + " " + damage.toString());
      assertEquals(1, damage.size(), damage.toString());
    }
  }

  @Test
  void everyFlippedBitOfTheStoresOwnFile_isFound() throws IOException {
    Path marker = folder.resolve("store/backupkit-store.json");
    byte[] whole = Files.readAllBytes(marker);
    for (int bit = 0; bit < whole.length * 8; bit++) {
      byte[] flipped = whole.clone();
      flipped[bit / 8] ^= (byte) (1 << bit % 8);
      Files.write(marker, flipped);
      try {
        List<Damage> damage =
            SnapshotStore.open(folder.resolve("store")).verify(0, Progress.NONE).damage();
        assertEquals(1, damage.size(), "bit " + bit);
        assertEquals("backupkit-store.json", damage.get(0).file());
      } catch (IOException refused) {
        assertTrue(refused.getMessage().contains("store"), refused.getMessage());
      }
    }
    Files.write(marker, whole);
    assertEquals(List.of(), store.verify(0, Progress.NONE).damage());
  }

  @Test
  void aMissingFileAndAMissingSnapshot_areNamed() throws IOException {
    Snapshot first = store.snapshots().get(0);
    Path part = part(first);
    byte[] whole = Files.readAllBytes(part);
    Files.delete(part);
    Damage lost = store.verify(0, Progress.NONE).damage().get(0);
    assertEquals(part.getFileName().toString(), lost.file());
    Files.write(part, whole);
    Directories.remove(first.directory());
    Damage chain = store.verify(0, Progress.NONE).damage().get(0);
    assertEquals(store.snapshots().get(0).id(), chain.snapshot());
    assertTrue(chain.message().contains(first.id()), chain.message());
  }

  @Test
  void aLinkInTheStore_isNoFileOfIt() throws IOException {
    Snapshot first = store.snapshots().get(0);
    Path part = part(first);
    Path elsewhere = Files.move(part, folder.resolve("elsewhere"));
    Files.createSymbolicLink(part, elsewhere);
    Damage damage = store.verify(100, Progress.NONE).damage().get(0);
    assertEquals(part.getFileName().toString(), damage.file());
    assertThrows(BackupException.class, () -> Contents.of(first.directory()));
  }

  @Test
  void aSample_readsTheTablesAlways_andAsManyOfTheOthersAsAsked() throws IOException {
    Path part = part(store.snapshots().get(0));
    byte[] flipped = Files.readAllBytes(part);
    flipped[600] ^= 1;
    Files.write(part, flipped);
    VerifyReport none = store.verify(0, Progress.NONE);
    assertEquals(List.of(), none.damage());
    assertEquals(4, none.hashed(), "the indexes and manifests");
    assertEquals(1, store.verify(100, Progress.NONE).damage().size());
    assertThrows(BackupException.class, () -> store.verify(101, Progress.NONE));
    assertThrows(BackupException.class, () -> store.verify(-1, Progress.NONE));
  }

  @Test
  void eachSnapshot_isToldFromBeginToEnd() throws IOException {
    List<ProgressEvent> events = new ArrayList<>();
    Files.delete(part(store.snapshots().get(1)));
    store.verify(100, events::add);
    List<ProgressEvent> ends =
        events.stream().filter(event -> event.kind() == ProgressEvent.Kind.END).toList();
    assertEquals(List.of(0, 13500008), ends.stream().map(ProgressEvent::code).toList());
  }

  private static Path part(Snapshot snapshot) throws IOException {
    try (Stream<Path> files = Files.list(snapshot.directory())) {
      return files.filter(file -> file.toString().endsWith(".tar")).findFirst().orElseThrow();
    }
  }
}
