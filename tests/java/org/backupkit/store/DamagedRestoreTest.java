package org.backupkit.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.backupkit.BackupException;
import org.backupkit.BackupService;
import org.backupkit.Damage;
import org.backupkit.Device;
import org.backupkit.ErrorCode;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class DamagedRestoreTest {
  private static final String BUNDLE = "com.example.notes";

  @TempDir Path directory;
  private Device device;
  private Path sandbox;
  private SnapshotStore store;

  @BeforeEach
  void backUp() throws IOException {
    device = new Device(directory.resolve("device"));
    sandbox = device.addBundle(BUNDLE);
    Files.createDirectory(sandbox.resolve("deep"));
    for (int i = 0; i < 50; ++i) {
      Files.writeString(sandbox.resolve("deep/" + i + ".txt"), "note " + i);
    }
    Files.write(sandbox.resolve("big.bin"), Device.bytes(5_000_000));
    store = SnapshotStore.open(directory.resolve("store"));
    try (BackupService service = BackupService.embedded(device.root())) {
      assertTrue(store.backupFull(service, List.of(BUNDLE), Progress.NONE).succeeded());
    }
  }

  @Test
  void restore_ofADamagedPart_leavesTheSandboxAsItIs() throws IOException {
    assertRefused("*part.0.tar");
  }

  @Test
  void restore_ofADamagedBigFile_leavesTheSandboxAsItIs() throws IOException {
    assertRefused("*.bin");
  }

  @Test
  void restore_ofADamagedIndex_leavesTheSandboxAsItIs() throws IOException {
    assertRefused("manage.json");
  }

  @Test
  void restore_ofADamagedManifest_leavesTheSandboxAsItIs() throws IOException {
    assertRefused("manifest");
  }

  @Test
  void restore_ofADamagedDescription_leavesTheSandboxAsItIs() throws IOException {
    assertRefused("snapshot.json");
  }

  private void assertRefused(String damaged) throws IOException {
    flipAByte(store.snapshots().get(0).directory(), damaged);
    Files.writeString(sandbox.resolve("deep/1.txt"), "changed since");
    Files.delete(sandbox.resolve("deep/2.txt"));
    Map<String, String> before = state();
    try (BackupService service = BackupService.embedded(device.root())) {
      assertEquals(ErrorCode.UNPACK_FAILED.code(), codeOfRestore(service));
    }
    assertEquals(before, state());
  }

  /** What the store sees itself is an exception, what the service sees is a result. */
  private int codeOfRestore(BackupService service) throws IOException {
    try {
      return store.restore(service, List.of(BUNDLE), Progress.NONE).bundles().get(0).code();
    } catch (BackupException e) {
      return e.code();
    }
  }

  private static void flipAByte(Path folder, String pattern) throws IOException {
    Path file;
    try (var found = Files.newDirectoryStream(folder, pattern)) {
      file = found.iterator().next();
    }
    Damage.flipAByte(file);
  }

  private Map<String, String> state() throws IOException {
    Map<String, String> state = new TreeMap<>();
    try (var paths = Files.walk(sandbox)) {
      for (Path path : paths.toList()) {
        String attributes =
            Files.readAttributes(
                    path, "unix:ino,mode,uid,gid,nlink,lastModifiedTime", LinkOption.NOFOLLOW_LINKS)
                .entrySet()
                .stream()
                .sorted(Map.Entry.comparingByKey())
                .toList()
                .toString();
        int content = Files.isRegularFile(path) ? Arrays.hashCode(Files.readAllBytes(path)) : 0;
        state.put(sandbox.relativize(path).toString(), attributes + " " + content);
      }
    }
    return state;
  }
}
