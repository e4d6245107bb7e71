package org.backupkit.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.backupkit.Device;
import org.backupkit.ShellHook;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A chain of snapshots in which an app has a directory stored under another path. */
@Timeout(60)
class MappedSnapshotTest {
  @TempDir Path directory;

  @Test
  void whatWasStoredUnderAnotherPath_isVerified_andMirroredThere() throws Exception {
    Device.openToAll(directory);
    try (AppChain chain = new AppChain(directory, 4096)) {
      Device device = chain.device();
      device.setRule(
          AppChain.BUNDLE,
          "compatibleDirMapping",
          List.of(Map.of("backupDir", "old", "restoreDir", "home/new")));
      String result = "{\\\"compatibleDirMapping\\\":[\\\"home/new\\\"]}";
      ShellHook.add(device, AppChain.BUNDLE, Map.of("onBackup", ShellHook.result(result)));
      write(chain.source(), "old/a.txt", "a");
      write(chain.source(), "old/b.txt", "b");
      Files.write(chain.source().resolve("old/big"), Device.bytes(9000));
      chain.backUp();
      write(chain.source(), "old/b.txt", "changed");
      Files.delete(chain.source().resolve("old/a.txt"));
      Snapshot snapshot = chain.backUp();
      assertEquals(List.of(), chain.store().verify(100, Progress.NONE).damage());

      // What the other device has at either place is not in the backup.
      for (String path : List.of("old/a.txt", "home/mine", "home/new/a.txt", "home/new/b.txt")) {
        write(chain.target(), path, "the other's");
      }
      chain.restore(snapshot, RestoreOptions.Mode.MIRROR);
      assertFalse(Files.exists(chain.target().resolve("old")));
      assertFalse(Files.exists(chain.target().resolve("home/mine")));
      assertFalse(Files.exists(chain.target().resolve("home/new/a.txt")));
      assertEquals("changed", Files.readString(chain.target().resolve("home/new/b.txt")));
      assertTrue(Files.exists(chain.target().resolve("home/new/big")));

      // And without any of it.
      Device.empty(chain.target());
      write(chain.target(), "home/mine", "the other's");
      chain.restore(snapshot, RestoreOptions.Mode.MIRROR);
      assertEquals(List.of("new"), List.of(chain.target().resolve("home").toFile().list()));
      assertEquals("changed", Files.readString(chain.target().resolve("home/new/b.txt")));
    }
  }

  private static void write(Path top, String path, String text) throws IOException {
    Files.createDirectories(top.resolve(path).getParent());
    Files.writeString(top.resolve(path), text);
  }
}
