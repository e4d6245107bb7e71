package org.backupkit.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import org.backupkit.BackupException;
import org.backupkit.ErrorCode;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class StoreLockTest {
  @TempDir Path store;

  @Test
  void aRefusedTake_leavesTheLockWithItsHolder() throws IOException {
    StoreLock held = StoreLock.take(store);
    assertRefused(store);
    assertEquals(1, locks(), "for other processes");
    held.close();
    assertEquals(0, locks());
    StoreLock.take(store).close();
  }

  @Test
  void aStore_isTheSameByEveryName() throws IOException {
    Path other = Files.createSymbolicLink(store.resolve("other"), store);
    StoreLock held = StoreLock.take(store);
    assertRefused(other);
    held.close();
  }

  private static void assertRefused(Path directory) {
    BackupException refused =
        assertThrows(BackupException.class, () -> StoreLock.take(directory).close());
    assertEquals(ErrorCode.NOT_PERMITTED, refused.error());
  }

  /** How many locks the kernel knows of the store. */
  private long locks() throws IOException {
    String inode = ":" + Files.getAttribute(store.resolve(StoreLock.FILE), "unix:ino") + " ";
    try (var lines = Files.lines(Paths.get("/proc/locks"))) {
      return lines.filter(line -> line.contains(inode)).count();
    }
  }
}
