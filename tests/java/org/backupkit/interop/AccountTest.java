package org.backupkit.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.backupkit.BackupException;
import org.backupkit.BackupFile;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.ErrorCode;
import org.backupkit.Journal;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.backupkit.SessionBackup;
import org.backupkit.Tool;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a backup says of the entries that it cannot store, and of all, is what find counts. */
@Timeout(60)
class AccountTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String BUNDLE = "com.example.account";
  private static final String NOBODY = "65534";
  private static final List<String> FATES =
      List.of("stored", "excluded", "unreadable", "unsupported", "vanished", "unstable");

  @TempDir Path directory;
  private Device device;
  private Path sandbox;

  @BeforeEach
  void makeATree() throws Exception {
    Tool.need("bash", "perl", "find", "tar", "setpriv");
    Device.openToAll(directory);
    device = new Device(directory.resolve("device"));
    device.configure("{\"packingLimit\": 0, \"maxSendRate\": 0}");
    sandbox = device.addBundle(BUNDLE);
    // More than may be under way stand between the first file and the one that goes.
    Judges.seen(
        """
        mkdir closed open
        for file in closed/inside open/inside secret big{100..199} goes; do echo $file >$file; done
        perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => "socket", Listen => 1) or die'
        chmod 0 closed secret
        """,
        sandbox);
  }

  @Test
  void ofAnOrdinaryUser_whatItMayNotReadIsNamed() throws Exception {
    if (Device.isRoot()) {
      Tool.succeed("chown", "-R", NOBODY + ":" + NOBODY, sandbox.toString());
    }
    assertAccount(
        ErrorCode.NOT_PERMITTED,
        List.of("closed: EACCES", "secret: EACCES", "socket: socket"),
        List.of(2, 1));
  }

  @Test
  void ofRoot_everyFileIsRead_andTheSocketIsNamed() throws Exception {
    Assumptions.assumeTrue(Device.isRoot(), "only root may read every file");
    assertAccount(ErrorCode.PACK_FAILED, List.of("socket: socket"), List.of(0, 1));
  }

  private void assertAccount(ErrorCode code, List<String> named, List<Integer> lost)
      throws Exception {
    Set<String> there = listing();
    Journal journal = backUp();
    Note end = journal.await(Kind.END, BUNDLE);
    assertEquals(code.code(), end.code(), end.toString());
    String complaint = named.size() + " entries of '" + BUNDLE + "' could not be stored: ";
    assertEquals(
        complaint + String.join("; ", named),
        end.message().substring(end.message().indexOf(complaint)));
    JsonNode report = JSON.readTree(journal.await(Kind.REPORT, BUNDLE).text()).path("resultInfo");
    JsonNode count = report.path(0).path("infos").path(0);
    assertEquals(named.size(), count.path("failedCount").asInt());
    assertEquals(named, JSON.convertValue(count.path("details"), List.class), report.toString());
    JsonNode totals = report.path(1);
    assertEquals(lost.get(0), totals.path("unreadable").asInt());
    assertEquals(lost.get(1), totals.path("unsupported").asInt());
    assertEquals(1, totals.path("vanished").asInt());
    int sum = FATES.stream().mapToInt(fate -> totals.path(fate).asInt()).sum();
    assertEquals(there.size(), sum, totals.toString());
    there.remove("goes");
    named.forEach(line -> there.remove(line.substring(0, line.indexOf(':'))));
    assertEquals(there, stored());
    assertEquals(there.size(), totals.path("stored").asInt());
  }

  /** Backs up, and lets one file go when the first has come. */
  private Journal backUp() throws Exception {
    Journal journal =
        new Journal(directory.resolve("store")) {
          @Override
          public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
            try {
              Files.deleteIfExists(sandbox.resolve("goes"));
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
            super.onFileReady(error, file);
          }
        };
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, journal)) {
      session.appendBundles(List.of(BUNDLE)).get();
      journal.awaitAll();
    }
    return journal;
  }

  /** What the app's user finds, the top as ".". */
  private Set<String> listing() throws Exception {
    String user = Judges.seen("stat -c %u .", sandbox).strip();
    String become =
        Device.isRoot() ? "setpriv --reuid=" + user + " --regid=" + user + " --clear-groups" : "";
    String find = " find . \\( -path . -printf '.\\n' \\) -o -printf '%P\\n' 2>/dev/null || true";
    return lines(Judges.seen(become + find, sandbox));
  }

  /** What the parts and manage.json have. */
  private Set<String> stored() throws Exception {
    Path store = directory.resolve("store").resolve(BUNDLE);
    List<Path> parts;
    try (Stream<Path> files = Files.list(store)) {
      parts = files.filter(file -> file.toString().endsWith("part.0.tar")).toList();
    }
    assertEquals(1, parts.size());
    Set<String> found = lines(Tool.succeed("tar", "tf", parts.get(0).toString()));
    for (JsonNode item : JSON.readTree(store.resolve("manage.json").toFile())) {
      if (item.path("isBigFile").asBoolean()) {
        found.add(item.path("information").path("path").asText());
      }
    }
    return found;
  }

  private static Set<String> lines(String text) {
    return text.lines()
        .map(line -> line.endsWith("/") ? line.substring(0, line.length() - 1) : line)
        .collect(Collectors.toCollection(TreeSet::new));
  }
}
