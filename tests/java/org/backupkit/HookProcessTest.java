package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.backupkit.Journal.Kind;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * What an app's program finds about itself: it has its bundle's user and its channel, and nothing
 * of a service that was started in an unusual way.
 */
@Timeout(60)
class HookProcessTest {
  private static final String APP = "com.example.app";
  private static final int NOBODY = 65534;
  private static final String SERVICE =
      "umask 0; export SECRET=open; exec 7</dev/null; ulimit -S -n 2000; trap '' PIPE INT;"
          + " cat /proc/$$/limits >'%s'/service; exec \"$@\"";
  // Signals 32 and 33 are the C library's own.
  private static final long SIGNALS = 0x7fffffff;

  @TempDir Path directory;
  private Device device;
  private Path sandbox;
  private Path found;

  @BeforeEach
  void makeADevice() throws IOException {
    Device.openToAll(directory);
    device = new Device(directory.resolve("device"));
    sandbox = device.addBundle(APP);
    found = Files.createDirectory(directory.resolve("found"));
    Files.setPosixFilePermissions(found, PosixFilePermissions.fromString("rwxrwxrwx"));
  }

  @Test
  void itsUserIsTheOwnerOfTheSandbox() throws Exception {
    look();
    String user = Files.getAttribute(sandbox, "unix:uid") + "\n";
    String group = Files.getAttribute(sandbox, "unix:gid") + "\n";
    assertEquals(user, read("user"));
    assertEquals(group, read("group"));
  }

  @Test
  void ofRootItHasNeitherGroupsNorCapabilities() throws Exception {
    assumeTrue(Device.isRoot(), "only root can have a bundle of another user's");
    Files.setAttribute(sandbox, "unix:uid", NOBODY);
    Files.setAttribute(sandbox, "unix:gid", NOBODY);
    look();
    Map<String, String> status = values("status");
    String everywhere = NOBODY + "\t" + NOBODY + "\t" + NOBODY + "\t" + NOBODY;
    assertEquals(everywhere, status.get("Uid"));
    assertEquals(everywhere, status.get("Gid"));
    assertEquals(NOBODY + "\n", read("groups"));
    for (String set : List.of("CapInh", "CapPrm", "CapEff", "CapAmb")) {
      assertEquals("0000000000000000", status.get(set), set);
    }
  }

  @Test
  void itCannotGainPrivileges() throws Exception {
    look();
    assertEquals("1", values("status").get("NoNewPrivs"));
  }

  @Test
  void itsPlaceIsTheSandbox_andItsEnvironmentTellsOfNothingElse() throws Exception {
    look();
    Map<String, String> environment = new TreeMap<>();
    for (String line : Files.readAllLines(found.resolve("environment"))) {
      environment.put(line.replaceFirst("=.*", ""), line.replaceFirst("[^=]*=", ""));
    }
    List.of("PWD", "OLDPWD", "SHLVL", "_").forEach(environment::remove); // the shell's own
    String real = sandbox.toRealPath().toString();
    assertEquals(real + "\n", read("where"));
    assertEquals(
        Map.of(
            "BACKUPKIT_BUNDLE",
            APP,
            "BACKUPKIT_SANDBOX",
            real,
            "BACKUPKIT_BACKUP_DIR",
            real + "/.backup",
            "HOME",
            real,
            "TMPDIR",
            real,
            "LANG",
            "C.UTF-8",
            "PATH",
            environment.getOrDefault("PATH", "none")),
        environment);
  }

  @Test
  void nothingIsOpenButItsChannel() throws Exception {
    look();
    // The last is the directory that is listed.
    assertEquals("0\n1\n2\n3\n", read("descriptors"));
    List<String> links = Files.readAllLines(found.resolve("links"));
    assertTrue(links.get(0).matches("socket:.*"), links.toString());
    assertEquals(List.of(links.get(0), "/dev/null"), links.subList(1, 3));
  }

  @Test
  void itLeadsASessionWithoutATerminal() throws Exception {
    look();
    String[] session = read("session").strip().split(" ");
    assertEquals(session[0], session[1]);
    assertEquals("0", session[2], "its terminal");
  }

  @Test
  void noSignalIsBlockedOrIgnored_andTheUmaskIsItsOwn() throws Exception {
    look();
    Map<String, String> status = values("status");
    assertEquals("0000000000000000", status.get("SigBlk"));
    assertEquals(0, Long.parseLong(status.get("SigIgn"), 16) & SIGNALS);
    assertEquals("0077\n", read("mask"));
  }

  @Test
  void itsLimitsAreThoseOfTheService_butForDescriptors() throws Exception {
    look();
    Map<String, String> limits = limits("service");
    assertTrue(limits.get("Max open files").startsWith("2000 "), limits.toString());
    limits.computeIfPresent("Max open files", (name, both) -> both.replaceFirst("2000", "1024"));
    assertEquals(limits, limits("limits"));
  }

  /** Has the app's program look around, in a backup by a service that was started strangely. */
  private void look() throws Exception {
    // No script file: the shell would have it open. It blocks signals itself while it waits, so
    // the mask is that of a program which it starts.
    String program =
        """
        pwd >'%1$s/where'
        cd '%1$s'
        env </dev/null >environment
        id -u >user
        id -g >group
        id -G >groups
        ls /proc/self/fd >descriptors
        readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2 | cat >links
        cat /proc/self/status >status
        echo "$$ $(cut -d ' ' -f 6,7 /proc/$$/stat)" >session
        cat /proc/self/limits >limits
        umask >mask
        echo '{"hook":1,"calls":[]}'
        while read -r line; do :; done
        """
            .formatted(found);
    device.setHook(APP, List.of("/bin/sh", "-c", program, "an argument"));
    device.letHook(APP, "writes", found);
    Journal journal = new Journal();
    Path socket = directory.resolve("service.sock");
    String start = SERVICE.formatted(found);
    try (ServiceProcess process =
            ServiceProcess.start(device.root(), socket, "sh", "-c", start, "sh");
        BackupService service = process.connect();
        SessionBackup session = new SessionBackup(service, journal)) {
      session.appendBundles(List.of(APP)).get();
      assertEquals(0, journal.await(Kind.END, APP).code(), journal.notes().toString());
    }
  }

  private String read(String name) throws IOException {
    return Files.readString(found.resolve(name));
  }

  /** The lines {@code name:<tab>value}. */
  private Map<String, String> values(String name) throws IOException {
    Map<String, String> values = new TreeMap<>();
    for (String line : Files.readAllLines(found.resolve(name))) {
      String[] cells = line.split(":\\s*", 2);
      values.put(cells[0], cells[1]);
    }
    return values;
  }

  /** Both limits by what is limited; whether a core may be dumped is nothing that is claimed. */
  private Map<String, String> limits(String name) throws IOException {
    Map<String, String> limits = new TreeMap<>();
    for (String line : Files.readAllLines(found.resolve(name))) {
      String[] cells = line.split(" {2,}", 2);
      limits.put(cells[0], cells[1].strip());
    }
    limits.remove("Max core file size");
    return limits;
  }
}
