package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import org.backupkit.store.BackupReport;
import org.backupkit.store.Progress;
import org.backupkit.store.RestoreReport;
import org.backupkit.store.SnapshotStore;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class PermissionTest {
  private static final String BUNDLE = "com.example.notes";
  private static final int NOBODY = 65534;

  @TempDir Path directory;
  private Device device;
  private Path sandbox;

  @BeforeEach
  void makeADevice() throws IOException {
    Assumptions.assumeTrue(Device.isRoot(), "only root can be another user");
    Device.openToAll(directory);
    device = new Device(directory.resolve("device"));
    sandbox = device.addBundle(BUNDLE);
  }

  @Test
  void aCallerWithoutPermissionIsTold201() throws Exception {
    assertEquals(ErrorCode.PERMISSION_DENIED.code() + "\n", answerToNobody());
  }

  @Test
  void aCallerWhoIsNoSystemAppIsTold202() throws Exception {
    device.configure("{\"callers\": [{\"uid\": 65534, \"backup\": true}]}");
    assertEquals(ErrorCode.NOT_SYSTEM_APP.code() + "\n", answerToNobody());
  }

  @Test
  void aCallerWhoMayIsAnswered() throws Exception {
    device.configure("{\"callers\": [{\"uid\": 65534, \"backup\": true, \"system\": true}]}");
    assertEquals("0\n", answerToNobody());
  }

  @Test
  void anotherUsersBundleIsServedAsThatUser() throws Exception {
    Path note = Files.writeString(sandbox.resolve("note.txt"), "first note");
    Path big = Files.write(sandbox.resolve("big.bin"), Device.bytes(5_000_000));
    for (Path path : List.of(sandbox, note, big)) {
      Files.setAttribute(path, "unix:uid", NOBODY);
      Files.setAttribute(path, "unix:gid", NOBODY);
    }
    SnapshotStore store = SnapshotStore.open(directory.resolve("store"));
    try (BackupService service = BackupService.embedded(device.root())) {
      BackupReport backup = store.backupFull(service, List.of(BUNDLE), Progress.NONE);
      assertTrue(backup.succeeded(), backup.toString());
      Files.writeString(note, "changed");
      Files.delete(big);
      RestoreReport restore = store.restore(service, List.of(BUNDLE), Progress.NONE);
      assertTrue(restore.succeeded(), restore.toString());
    }
    assertEquals("first note", Files.readString(note));
    assertEquals(5_000_000, Files.size(big));
    for (Path path : List.of(note, big)) {
      assertEquals(NOBODY, Files.getAttribute(path, "unix:uid"), path.toString());
      assertEquals(NOBODY, Files.getAttribute(path, "unix:gid"), path.toString());
    }
  }

  @Test
  void whatTheOwnerMayNotReadIsNotBackedUp() throws Exception {
    Files.writeString(sandbox.resolve("note.txt"), "readable");
    Path secret = Files.writeString(sandbox.resolve("secret"), "of root");
    Files.setPosixFilePermissions(secret, PosixFilePermissions.fromString("rw-------"));
    Files.setAttribute(sandbox, "unix:uid", NOBODY);
    Files.setAttribute(sandbox, "unix:gid", NOBODY);
    try (BackupService service = BackupService.embedded(device.root())) {
      var result =
          SnapshotStore.open(directory.resolve("store"))
              .backupFull(service, List.of(BUNDLE), Progress.NONE)
              .bundles()
              .get(0);
      assertTrue(result.partial(), result.toString());
      assertEquals(1, result.unreadable().size(), result.toString());
      assertTrue(result.unreadable().get(0).contains("secret"), result.toString());
    }
  }

  /** What a client of another user is told by a service on a socket. */
  private String answerToNobody() throws Exception {
    Tool.need("setpriv", "cp");
    try (ServiceProcess service =
        ServiceProcess.start(device.root(), directory.resolve("service.sock"))) {
      return Tool.succeed(
          "setpriv",
          "--reuid=" + NOBODY,
          "--regid=" + NOBODY,
          "--clear-groups",
          System.getProperty("java.home") + "/bin/java",
          "-Djava.io.tmpdir=" + temporaryFolder(),
          "-cp",
          readableClassPath(),
          Client.class.getName(),
          service.socket().toString());
    }
  }

  private Path temporaryFolder() throws IOException {
    Path folder = Files.createDirectory(directory.resolve("tmp"));
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxrwxrwx"));
    return folder;
  }

  /** A copy of this one, because another user may be unable to reach it. */
  private String readableClassPath() throws Exception {
    Path copies = Files.createDirectory(directory.resolve("classes"));
    String original =
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    List<String> entries = new ArrayList<>();
    for (String entry : original.split(File.pathSeparator)) {
      if (Files.exists(Path.of(entry))) {
        Path copy = copies.resolve(entries.size() + "-" + Path.of(entry).getFileName());
        Tool.succeed("cp", "-r", entry, copy.toString());
        entries.add(copy.toString());
      }
    }
    Tool.succeed("chmod", "-R", "a+rX", copies.toString());
    return String.join(File.pathSeparator, entries);
  }

  /** Asks for the capabilities and says with which code that failed, or 0. */
  static final class Client {
    private Client() {}

    public static void main(String[] arguments) throws Exception {
      try (BackupService service = BackupService.connect(Path.of(arguments[0]))) {
        try (FileData capabilities = service.getLocalCapabilities().get()) {
          assertNotNull(capabilities.fd());
          System.out.println(0);
        } catch (ExecutionException e) {
          System.out.println(
              e.getCause() instanceof BackupException failure ? failure.code() : e.toString());
        }
      }
    }
  }
}
