package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * What an app's own program can do, and what it cannot although its user could: who runs the
 * service, and owns everything.
 */
@Timeout(60)
class ConfinementTest {
  private static final String APP = "com.example.app";
  private static final String BESIDE = "com.example.beside";

  @TempDir Path directory;
  private Device device;
  private Path sandbox;
  private Path beside;
  private Path socket;

  @BeforeEach
  void makeADevice() throws IOException {
    device = new Device(directory.resolve("device"));
    device.configure("{}");
    sandbox = device.addBundle(APP);
    beside = device.addBundle(BESIDE);
    socket = directory.resolve("service.sock");
    Files.writeString(sandbox.resolve("note.txt"), "note");
    Files.writeString(beside.resolve("note.txt"), "another");
  }

  @Test
  void whatIsNotTheApps_isOutOfItsReach() throws Exception {
    Map<String, String> deeds = deeds();
    String attempts =
        deeds.entrySet().stream()
            .map(deed -> "try " + deed.getKey() + " '" + deed.getValue() + "'\n")
            .collect(Collectors.joining());
    String hook =
        """
        service=$PPID
        done=
        try() { if (eval "$2") </dev/null >/dev/null 2>&1; then done="$done $1"; fi; }
        %s
        answer "\\"result\\":\\"done:$done\\""
        """
            .formatted(attempts);
    ShellHook.add(device, APP, Map.of("onBackup", hook));
    // Another app's sandbox, from where all of it goes well: or it would prove nothing.
    Path control = Files.createDirectory(device.sandbox("com.example.control"));
    try (ServiceProcess process = ServiceProcess.start(device.root(), socket);
        BackupService service = process.connect()) {
      needLandlock(process);
      String prefix = "cd '" + control + "'; service=" + service.servicePid() + "; ";
      for (Map.Entry<String, String> deed : deeds.entrySet()) {
        Tool.Outcome free = Tool.run(List.of("sh", "-c", prefix + deed.getValue()));
        assertEquals(0, free.status(), deed.getKey() + ": " + free.output());
      }
      assertEquals("done:", backUp(service).of(Kind.REPORT, APP).get(0).text());
    }
    assertEquals("another", Files.readString(beside.resolve("note.txt")));
  }

  /** By their names, in shell without single quotes. */
  private Map<String, String> deeds() {
    Map<String, String> deeds = new LinkedHashMap<>();
    String note = beside.resolve("note.txt").toString();
    deeds.put("reads", "cat " + note);
    deeds.put("reads-by-dots", "cat ../" + BESIDE + "/note.txt");
    deeds.put("reads-by-link", "ln -s " + note + " way && cat way");
    deeds.put("reads-by-proc", "cat /proc/self/root" + note);
    deeds.put("reads-by-the-service", "cat /proc/$service/root" + note);
    deeds.put("takes-a-name", "ln " + note + " taken");
    deeds.put("lists", "ls " + beside);
    deeds.put("changes", "printf another >" + note);
    deeds.put("makes", ": >" + beside.resolve("new"));
    deeds.put("removes", "mkdir " + beside.resolve("empty") + " && rmdir " + beside + "/empty");
    deeds.put("reads-state", "ls " + device.root().resolve("var/lib/backupkit"));
    deeds.put("reads-settings", "cat " + device.root().resolve("etc/backupkit/service.json"));
    deeds.put("writes-elsewhere", ": >" + directory.resolve("elsewhere"));
    deeds.put("reads-the-service", "cat /proc/$service/environ");
    if (Tool.isInstalled("perl")) {
      String connect = "socket(S,1,5,0)&&connect(S,sockaddr_un(\"" + socket + "\"))||exit 1";
      deeds.put("connects", "perl -MSocket -e \"" + connect.replace("\"", "\\\"") + "\"");
    }
    if (Runtime.Version.parse(System.getProperty("os.version").replaceFirst("[^0-9.].*", ""))
            .compareTo(Runtime.Version.parse("6.12"))
        >= 0) {
      deeds.put("signals", "kill -0 $service");
    }
    return deeds;
  }

  @Test
  void itDoesItsWork() throws Exception {
    String work =
        """
        if (
          set -e
          mkdir .backup
          cp note.txt .backup/copy
          mv .backup/copy prepared.txt
          rmdir .backup
          ln prepared.txt linked.txt
          temporary=$(mktemp)
          sed s/note/changed/ <note.txt >"$temporary"
          mv "$temporary" changed.txt
          head -c 1 /dev/urandom
          cat /etc/passwd /proc/self/mountinfo
          sleep 600 &
          kill $!
        ) </dev/null >/dev/null 2>&1; then
          answer '"result":"well"'
        else
          answer '"error":"ill"'
        fi
        """;
    ShellHook.add(device, APP, Map.of("onBackup", work));
    try (BackupService service = BackupService.embedded(device.root())) {
      Journal journal = backUp(service);
      assertEquals("well", journal.of(Kind.REPORT, APP).get(0).text());
    }
    assertEquals("note", Files.readString(sandbox.resolve("linked.txt")));
    assertEquals("changed", Files.readString(sandbox.resolve("changed.txt")));
  }

  @Test
  void itHasNoRightsButThoseToFiles() throws Exception {
    String status =
        "$(grep -E \"^(CapPrm|NoNewPrivs|Max core)\" /proc/self/status /proc/self/limits)";
    ShellHook.add(
        device,
        APP,
        Map.of("onBackup", "answer \"\\\"result\\\":\\\"$(echo " + status + ")\\\"\""));
    try (BackupService service = BackupService.embedded(device.root())) {
      String found = backUp(service).of(Kind.REPORT, APP).get(0).text();
      long permitted = Long.parseLong(found.replaceFirst(".*CapPrm: (\\w+).*", "$1"), 16);
      // Files of other owners, for an app that is root.
      assertEquals(0, permitted & ~0x1f, found);
      assertTrue(found.contains("NoNewPrivs: 1"), found);
      assertTrue(found.contains("Max core file size 1 1"), found);
    }
  }

  @Test
  void whatTheBundleNames_isInItsReach() throws Exception {
    Path read = Files.createDirectories(device.root().resolve("lib/app"));
    Path written = Files.createDirectories(device.root().resolve("run/app"));
    Files.writeString(read.resolve("table"), "of the app");
    String hook =
        """
        said=$(cat %1$s/table)
        if (: >%1$s/new) 2>/dev/null; then said="$said, written"; fi
        if (: >%2$s/new) 2>/dev/null; then said="$said, written"; fi
        answer "\\"result\\":\\"$said\\""
        """
            .formatted(read, written);
    ShellHook.add(device, APP, Map.of("onBackup", hook));
    device.letHook(APP, "reads", Path.of("lib/app"));
    device.letHook(APP, "writes", written);
    try (ServiceProcess process = ServiceProcess.start(device.root(), socket);
        BackupService service = process.connect()) {
      needLandlock(process);
      String said = backUp(service).of(Kind.REPORT, APP).get(0).text();
      assertEquals("of the app, written", said);
    }
    assertFalse(Files.exists(read.resolve("new")));
    assertTrue(Files.exists(written.resolve("new")));
  }

  @Test
  void aPathThatIsNotThere_isSaidAtTheBegin() throws Exception {
    ShellHook.add(device, APP, Map.of("onBackup", ShellHook.result("")));
    device.letHook(APP, "reads", Path.of("lib/none"));
    try (BackupService service = BackupService.embedded(device.root())) {
      Note begin = backUp(service).await(Kind.BEGIN, APP);
      assertEquals(ErrorCode.EXTENSION_START_FAILED.code(), begin.code());
      assertTrue(begin.message().contains("lib/none"), begin.message());
    }
  }

  private static Journal backUp(BackupService service) throws Exception {
    Journal journal = new Journal();
    try (SessionBackup session = new SessionBackup(service, journal)) {
      session.appendBundles(List.of(APP), List.of("{}")).get();
      journal.awaitAll();
    }
    return journal;
  }

  private static void needLandlock(ServiceProcess process) throws IOException {
    assumeTrue(process.confines(), "this kernel lacks what confines a hook");
  }
}
