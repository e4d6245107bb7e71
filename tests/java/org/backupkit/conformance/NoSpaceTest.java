package org.backupkit.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Files;
import java.util.List;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.FileMeta;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.backupkit.SessionBackup;
import org.backupkit.SessionRestore;
import org.backupkit.Tool;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** 13900025 for real: the app's directory is a small file system of its own. */
class NoSpaceTest extends OnDevice {
  private boolean isMounted;

  @BeforeEach
  void needRoot() throws Exception {
    Assumptions.assumeTrue(Device.isRoot(), "only root can mount a file system");
    Tool.need("mount", "umount");
  }

  @AfterEach
  void unmount() throws Exception {
    if (isMounted) {
      Tool.succeed("umount", sandbox.toString());
    }
  }

  @Test
  void onBundleEnd_ofABackupWithoutRoomForItsPart() throws Exception {
    mount("size=1m");
    Files.write(sandbox.resolve("most.bin"), Device.bytes(900_000));
    Events events = new Events();
    try (BackupService service = embedded();
        SessionBackup session = new SessionBackup(service, events)) {
      session.appendBundles(List.of(HIWORLD)).get();
      assertEquals(NO_SPACE, events.await(Kind.END, HIWORLD).code());
      assertEquals(0, events.awaitAll().code());
    }
  }

  @Test
  void onFileReady_ofARestoreWithoutRoomForAFile() throws Exception {
    mount("size=1m,nr_inodes=6"); // the top, the file below, and what a restore works in
    Files.writeString(sandbox.resolve("last"), "there is room for no other file");
    Events events = new Events();
    try (BackupService service = embedded();
        SessionRestore session = new SessionRestore(service, events)) {
      append(service, session, List.of(HIWORLD));
      session.getFileHandle(new FileMeta(HIWORLD, "test.txt")).get();
      Note file = events.await(Kind.FILE, HIWORLD);
      assertEquals(NO_SPACE, file.code());
      assertEquals("test.txt", file.text());
    }
  }

  private void mount(String options) throws Exception {
    Tool.succeed("mount", "-t", "tmpfs", "-o", options, "backupkit-test", sandbox.toString());
    isMounted = true;
  }
}
