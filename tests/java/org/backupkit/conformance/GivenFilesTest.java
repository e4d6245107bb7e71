package org.backupkit.conformance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.Fd;
import org.backupkit.FileMeta;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.backupkit.SessionRestore;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** That a restore reads a program's own files where they lie. */
class GivenFilesTest extends OnDevice {
  private static final String INDEX = "manage.json";
  private static final String PART = "part.0.tar";
  private static final int BIG = 3 << 20; // above the packing limit: a file of its own
  private static final int UNPACK_FAILED = 13500008;

  private Path given;
  private Map<String, byte[]> backup = new TreeMap<>();

  @BeforeEach
  void backUpAndLoseAll() throws Exception {
    Files.write(sandbox.resolve("film"), Device.bytes(BIG));
    try (BackupService service = embedded()) {
      backup = backUp(service, List.of(HIWORLD)).files(HIWORLD);
    }
    given = Files.createDirectory(directory.resolve("given"));
    for (Map.Entry<String, byte[]> file : backup.entrySet()) {
      Files.write(given.resolve(file.getKey()), file.getValue());
    }
    Files.writeString(sandbox.resolve("note.txt"), "lost");
    Files.writeString(sandbox.resolve("film"), "lost");
  }

  @Test
  void theyAreRestored_andStayWhatTheyWere() throws Exception {
    assertEquals(0, restore(uri -> true).code());
    assertAllIsBack();
    for (Map.Entry<String, byte[]> file : backup.entrySet()) {
      Path own = given.resolve(file.getKey());
      assertArrayEquals(file.getValue(), Files.readAllBytes(own));
      assertEquals(1, Files.getAttribute(own, "unix:nlink"), "the app has a name of " + own);
    }
  }

  @Test
  void someMayBeGivenAndOthersWritten() throws Exception {
    assertEquals(0, restore(PART::equals).code());
    assertAllIsBack();
  }

  @Test
  void oneThatIsDamagedIsNamed_andTheOldDataStay() throws Exception {
    byte[] damaged = backup.get(PART).clone();
    damaged[damaged.length / 2] ^= 1;
    Files.write(given.resolve(PART), damaged);
    Note end = restore(uri -> true);
    assertEquals(UNPACK_FAILED, end.code());
    assertTrue(end.message().contains(PART), end.message());
    assertEquals("lost", Files.readString(sandbox.resolve("note.txt")));
    assertEquals("lost", Files.readString(sandbox.resolve("film")));
  }

  @Test
  void oneOfAnotherUriDoesNotTakeThePlaceOfOneThatIsMissing() throws Exception {
    Files.move(given.resolve(PART), given.resolve("other.tar"));
    Note end = restore(uri -> true);
    assertEquals(UNPACK_FAILED, end.code());
    assertTrue(end.message().contains(PART), end.message());
    assertEquals("lost", Files.readString(sandbox.resolve("note.txt")));
  }

  @Test
  void theLastOneOfAUriCounts() throws Exception {
    Events events = new Events();
    try (BackupService service = embedded();
        SessionRestore session = restoring(service, events, backup)) {
      begin(service, session, events);
      give(session, PART, Files.writeString(directory.resolve("wrong"), "no archive"));
      for (String uri : backup.keySet()) {
        if (!uri.equals(INDEX)) {
          give(session, uri, given.resolve(uri));
        }
      }
      publishAll(session, events, HIWORLD, Map.of(INDEX, backup.get(INDEX)));
      assertEquals(0, events.await(Kind.END, HIWORLD).code());
    }
    assertAllIsBack();
  }

  @Test
  void onlyARegularFileThatIsOpenToBeReadIsTaken() throws Exception {
    Events events = new Events();
    try (BackupService service = embedded();
        SessionRestore session = restoring(service, events, backup);
        Fd folder = Fd.open(given);
        Fd reading = Fd.open(given.resolve(PART));
        Fd writing = Fd.open(given.resolve(PART), StandardOpenOption.WRITE);
        Fd both = Fd.open(given.resolve(PART), StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      begin(service, session, events);
      for (Fd wrong : List.of(folder, writing, both)) {
        assertEquals(INVALID, codeOf(() -> session.giveFile(part(PART), wrong)));
      }
      for (String uri : List.of("", INDEX)) {
        assertEquals(INVALID, codeOf(() -> session.giveFile(part(uri), reading)));
      }
      FileMeta unknown = new FileMeta(UNKNOWN, PART);
      assertEquals(INVALID, codeOf(() -> session.giveFile(unknown, reading)));
      assertEquals(INVALID, codeOf(() -> session.giveFile(part(PART), absent())));
      assertEquals(0, codeOf(() -> session.giveFile(part(PART), reading)));
    }
  }

  private static FileMeta part(String uri) {
    return new FileMeta(HIWORLD, uri);
  }

  private static void begin(BackupService service, SessionRestore session, Events events)
      throws Exception {
    append(service, session, List.of(HIWORLD));
    assertEquals(0, events.await(Kind.BEGIN, HIWORLD).code());
  }

  /** It may be closed, and its name go, as soon as it was taken. */
  private static void give(SessionRestore session, String uri, Path file) throws Exception {
    try (Fd fd = Fd.open(file)) {
      session.giveFile(part(uri), fd).get();
    }
  }

  /** Restores with some files given and the rest, and manage.json, written. */
  private Note restore(Predicate<String> isGiven) throws Exception {
    Events events = new Events();
    Map<String, byte[]> written = new TreeMap<>();
    try (BackupService service = embedded();
        SessionRestore session = restoring(service, events, backup)) {
      begin(service, session, events);
      for (Path file : list()) {
        String uri = file.getFileName().toString();
        if (uri.equals(INDEX) || !isGiven.test(uri)) {
          written.put(uri, backup.get(uri));
        } else {
          give(session, uri, file);
        }
      }
      publishAll(session, events, HIWORLD, written);
      return events.await(Kind.END, HIWORLD);
    }
  }

  private List<Path> list() throws IOException {
    try (var files = Files.list(given)) {
      return files.toList();
    }
  }

  private void assertAllIsBack() throws IOException {
    assertEquals("first note", Files.readString(sandbox.resolve("note.txt")));
    assertArrayEquals(Device.bytes(BIG), Files.readAllBytes(sandbox.resolve("film")));
  }
}
