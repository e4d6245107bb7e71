package org.backupkit.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.Journal;
import org.backupkit.SessionBackup;
import org.backupkit.Tool;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** That a restore goes on where an interrupted one has left off. */
@Timeout(60)
class InterruptedRestoreTest {
  private static final String BUNDLE = "com.example.films";
  private static final int FILMS = 20;
  private static final int SIZE = 3 << 20; // above the packing limit: each is a file of its own

  @TempDir Path folder;
  private Device device;
  private Path sandbox;
  private SnapshotStore store;

  @BeforeEach
  void backUpAndLoseAll() throws Exception {
    device = new Device(folder.resolve("device"));
    sandbox = device.addBundle(BUNDLE);
    for (int i = 0; i < FILMS; i++) {
      Files.write(sandbox.resolve("film" + i), Device.bytes(SIZE + i));
    }
    store = SnapshotStore.open(folder.resolve("store"));
    try (BackupService service = BackupService.embedded(device.root())) {
      assertTrue(store.backup(service, List.of(BUNDLE), Progress.NONE).succeeded());
    }
    Tool.succeed("cp", "-a", sandbox.toString(), folder.resolve("as it was").toString());
    for (int i = 0; i < FILMS; i++) {
      Files.writeString(sandbox.resolve("film" + i), "lost");
    }
  }

  @Test
  void killedAtNineOfTenFiles_theNextOneGivesOnlyTheTenth() throws Exception {
    long atKill = interruptAfter(FILMS * 9 / 10);
    assertEquals("lost", Files.readString(sandbox.resolve("film0")));
    long rest = restore();
    assertTrue(atKill >= (long) SIZE * FILMS * 9 / 10, "given before the kill: " + atKill);
    assertTrue(rest <= (long) (SIZE + FILMS) * (FILMS / 10 + 1), "given after it: " + rest);
  }

  @Test
  void whatIsNotRepeated_isDroppedByCleaning() throws Exception {
    interruptAfter(FILMS / 2);
    assertTrue(Files.exists(sandbox.resolve(".backup")));
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, new Journal())) {
      assertTrue(session.cleanBundleTempDir(BUNDLE).get());
    }
    assertFalse(Files.exists(sandbox.resolve(".backup")));
    assertEquals("lost", Files.readString(sandbox.resolve("film0")));
  }

  /** Gives how many bytes the second, whole restore has given. */
  private long restore() throws Exception {
    try (BackupService service = BackupService.embedded(device.root())) {
      RestoreReport report = store.restore(service, List.of(BUNDLE), Progress.NONE);
      assertTrue(report.succeeded(), report.toString());
      Tool.succeed("diff", "-r", sandbox.toString(), folder.resolve("as it was").toString());
      assertFalse(Files.exists(sandbox.resolve(".backup")));
      return report.bundles().get(0).bytes();
    }
  }

  /** Kills the service when so many films were given; gives the bytes of all that was. */
  private long interruptAfter(int films) throws IOException {
    long[] given = {0};
    try (BackupService service = BackupService.embedded(device.root())) {
      Progress killer =
          event -> {
            if (given[0] == 0 && event.bytes() >= (long) SIZE * films) {
              given[0] = event.bytes();
              ProcessHandle.of(service.servicePid()).orElseThrow().destroyForcibly();
            }
          };
      assertFalse(store.restore(service, List.of(BUNDLE), killer).succeeded());
    }
    assertTrue(given[0] > 0);
    BackupService.embedded(device.root()).close(); // its start ends what nobody goes on with
    assertTrue(Files.isDirectory(sandbox.resolve(".backup/transaction/received")));
    return given[0];
  }
}
