package org.backupkit.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.backupkit.BackupFile;
import org.backupkit.BackupService;
import org.backupkit.Fd;
import org.backupkit.FileMeta;
import org.backupkit.IncrementalBackupData;
import org.backupkit.IncrementalBackupSession;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.backupkit.SessionRestore;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** That parts are unpacked as they are published, once manage.json and its manifest are. */
class EarlyUnpackTest extends OnDevice {
  private static final String INDEX = "manage.json";
  private static final int UNPACK_FAILED = 13500008;

  private final Map<String, byte[]> backup = new TreeMap<>();
  private byte[] manifest = {};
  private String part = "";
  private Path staged;
  private BackupService service;
  private Events events;
  private SessionRestore session;

  @BeforeEach
  void backUpAndBeginToRestore() throws Exception {
    service = embedded();
    Events kept = new Events().receive(this::keep);
    try (IncrementalBackupSession backups = new IncrementalBackupSession(service, kept)) {
      backups.appendBundles(List.of(IncrementalBackupData.builder(HIWORLD).build())).get();
      assertEquals(0, kept.await(Kind.END, HIWORLD).code());
    }
    part = backup.keySet().stream().filter(uri -> uri.endsWith(".tar")).findFirst().orElseThrow();
    Files.writeString(sandbox.resolve("note.txt"), "lost");
    staged = sandbox.resolve(".backup/transaction/new/note.txt");
    events = new Events().receive(this::fill);
    session = new SessionRestore(service, events);
    append(service, session, List.of(HIWORLD));
    assertEquals(0, events.await(Kind.BEGIN, HIWORLD).code());
  }

  @AfterEach
  void end() {
    session.close();
    service.close();
  }

  @Test
  void aPartThatComesAfterTheIndexIsUnpackedAtOnce() throws Exception {
    write(INDEX);
    publish(INDEX);
    write(part);
    assertFalse(Files.exists(staged));
    publish(part);
    awaitWork();
    assertEquals("first note", Files.readString(staged));
    assertEquals("lost", Files.readString(sandbox.resolve("note.txt")));
    assertRestored();
  }

  @Test
  void oneThatCameBeforeIsUnpackedWithTheIndex() throws Exception {
    write(part);
    publish(part);
    awaitWork();
    assertFalse(Files.exists(staged));
    write(INDEX);
    publish(INDEX);
    awaitWork();
    assertEquals("first note", Files.readString(staged));
    assertRestored();
  }

  @Test
  void oneThatIsGivenIsUnpackedAtOnce() throws Exception {
    write(INDEX);
    publish(INDEX);
    try (Fd own = Fd.open(Files.write(directory.resolve("own"), backup.get(part)))) {
      session.giveFile(new FileMeta(HIWORLD, part), own).get();
    }
    awaitWork();
    assertEquals("first note", Files.readString(staged));
    assertRestored();
  }

  @Test
  void onePublishedWithoutTheIndexWaits() throws Exception {
    write(part);
    publish(part);
    write(INDEX);
    awaitWork();
    assertFalse(Files.exists(staged));
    assertRestored();
  }

  @Test
  void aDamagedPartEndsTheBundleAtOnce() throws Exception {
    backup.get(part)[700] ^= 1;
    write(INDEX);
    publish(INDEX);
    write(part);
    publish(part);
    Note end = events.await(Kind.END, HIWORLD);
    assertEquals(UNPACK_FAILED, end.code());
    assertTrue(end.message().contains(part), end.message());
    assertEquals("lost", Files.readString(sandbox.resolve("note.txt")));
    assertFalse(Files.exists(sandbox.resolve(".backup")));
  }

  @Test
  void aPartThatIsAskedForAgainIsWrittenAgain() throws Exception {
    write(INDEX);
    publish(INDEX);
    write(part);
    publish(part);
    write(part);
    assertRestored();
  }

  @Test
  void theIndexIsNotGivenAgainOnceItWasPublished() throws Exception {
    write(INDEX);
    publish(INDEX);
    int before = events.all(Kind.FILE).size();
    session.getFileHandle(new FileMeta(HIWORLD, INDEX)).get();
    Note refused = events.await(Kind.FILE, HIWORLD, before + 1);
    assertEquals(NOT_PERMITTED, refused.code());
    write(part);
    assertRestored();
  }

  private void keep(BackupFile file) throws IOException {
    backup.put(file.uri(), file.fd().readAllBytes());
    Fd rows = file.manifestFd();
    if (file.uri().equals(INDEX) && rows != null) {
      manifest = rows.readAllBytes();
    }
  }

  private void fill(BackupFile file) throws IOException {
    write(file.fd(), backup.get(file.uri()));
    Fd rows = file.manifestFd();
    if (file.uri().equals(INDEX) && rows != null) {
      write(rows, manifest);
    }
  }

  private void write(String uri) throws Exception {
    int before = events.all(Kind.FILE).size();
    session.getFileHandle(new FileMeta(HIWORLD, uri)).get();
    assertEquals(0, events.await(Kind.FILE, HIWORLD, before + 1).code());
  }

  private void publish(String uri) throws Exception {
    session.publishFile(new FileMeta(HIWORLD, uri)).get();
  }

  /** The extension answers in turn. */
  private void awaitWork() throws Exception {
    assertEquals(INVALID, codeOf(() -> session.publishFile(new FileMeta(HIWORLD, "never.asked"))));
  }

  private void assertRestored() throws Exception {
    publish("");
    assertEquals(0, events.await(Kind.END, HIWORLD).code());
    assertEquals("first note", Files.readString(sandbox.resolve("note.txt")));
    assertFalse(Files.exists(sandbox.resolve(".backup")));
  }
}
