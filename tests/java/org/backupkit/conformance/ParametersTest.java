package org.backupkit.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.backupkit.BackupService;
import org.backupkit.Fd;
import org.backupkit.FileData;
import org.backupkit.FileMeta;
import org.backupkit.IncrementalBackupData;
import org.backupkit.IncrementalBackupSession;
import org.backupkit.IncrementalBackupTime;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.backupkit.SessionBackup;
import org.backupkit.SessionRestore;
import org.junit.jupiter.api.Test;

/** Parameters at and beyond their limits; after each refusal everything goes on. */
class ParametersTest extends OnDevice {
  private static final List<String> NO_NAMES =
      List.of(
          "",
          ".",
          "..",
          ".hidden",
          "../com.example.hiworld",
          "com/example",
          "com.example.hiworld ",
          "com.example\nhiworld",
          "com.example\0hiworld",
          "com.exämple",
          "com.example:",
          "com.example:x",
          "x".repeat(128));

  @Test
  void getLocalCapabilities_ofAListWithWhatIsNoBundleIs401() throws Exception {
    try (BackupService service = embedded()) {
      assertEquals(
          PARAMETER,
          codeOf(
              () ->
                  service.getLocalCapabilities(
                      ParametersTest.<List<IncrementalBackupTime>>absent())));
      IncrementalBackupTime good = new IncrementalBackupTime(HIWORLD, 0);
      assertEquals(
          PARAMETER, codeOf(() -> service.getLocalCapabilities(Arrays.asList(good, null))));
      for (String name : withNull(NO_NAMES)) {
        List<IncrementalBackupTime> times = List.of(good, new IncrementalBackupTime(name, 0));
        assertEquals(PARAMETER, codeOf(() -> service.getLocalCapabilities(times)), name);
      }
      try (FileData none = service.getLocalCapabilities(List.of()).get()) {
        assertEquals(0, json(none).path("bundleInfos").size());
      }
      assertEquals(0, codeOf(() -> service.getLocalCapabilities(List.of(good))));
    }
  }

  @Test
  void updateTimer_takes0To14400000() throws Exception {
    whileRunning(
        service -> {
          for (int outside : List.of(Integer.MIN_VALUE, -1, 14_400_001, Integer.MAX_VALUE)) {
            assertEquals(PARAMETER, codeOf(() -> service.updateTimer(HIWORLD, outside)));
          }
          for (String name : withNull(NO_NAMES)) {
            assertEquals(PARAMETER, codeOf(() -> service.updateTimer(name, 30_000)), name);
          }
          assertTrue(service.updateTimer(HIWORLD, 14_400_000));
        },
        0);
    whileRunning(service -> assertTrue(service.updateTimer(HIWORLD, 0)), TIMED_OUT);
  }

  @Test
  void updateSendRate_takes0AndMore() throws Exception {
    whileRunning(
        service -> {
          for (int outside : List.of(Integer.MIN_VALUE, -1)) {
            assertEquals(PARAMETER, codeOf(() -> service.updateSendRate(HIWORLD, outside)));
          }
          for (String name : withNull(NO_NAMES)) {
            assertEquals(PARAMETER, codeOf(() -> service.updateSendRate(name, 60)), name);
          }
          for (int rate : List.of(0, 1, 800, 801, Integer.MAX_VALUE)) {
            assertTrue(service.updateSendRate(HIWORLD, rate));
          }
        },
        0);
  }

  @Test
  void incrementalConstructor_withoutCallbacksIs401() throws Exception {
    try (BackupService service = embedded()) {
      assertEquals(PARAMETER, codeOf(() -> new IncrementalBackupSession(service, absent())));
      assertEquals(0, codeOf(() -> new IncrementalBackupSession(service, silent())));
    }
  }

  @Test
  void incrementalAppendBundles_ofANullIs401() throws Exception {
    IncrementalBackupData good = IncrementalBackupData.builder(HIWORLD).build();
    Events events = new Events();
    try (BackupService service = embedded();
        IncrementalBackupSession session = new IncrementalBackupSession(service, events)) {
      assertEquals(PARAMETER, codeOf(() -> session.appendBundles(absent())));
      assertEquals(PARAMETER, codeOf(() -> session.appendBundles(Arrays.asList(good, null))));
      session.appendBundles(List.of(good)).get();
      assertEquals(0, events.await(Kind.END, HIWORLD).code());
    }
  }

  @Test
  void incrementalAppendBundles_ofWhatIsNoBundleIs13900020() throws Exception {
    IncrementalBackupData good = IncrementalBackupData.builder(HIWORLD).build();
    Events events = new Events();
    try (BackupService service = embedded();
        IncrementalBackupSession session = new IncrementalBackupSession(service, events)) {
      assertEquals(INVALID, codeOf(() -> session.appendBundles(List.of())));
      for (String name : NO_NAMES) {
        IncrementalBackupData bad = IncrementalBackupData.builder(name).build();
        assertEquals(INVALID, codeOf(() -> session.appendBundles(List.of(good, bad))), name);
      }
      for (String wrong : List.of("[]", "1", "no JSON", "{} {}")) {
        IncrementalBackupData bad =
            IncrementalBackupData.builder(HIWORLD).parameters(wrong).build();
        assertEquals(INVALID, codeOf(() -> session.appendBundles(List.of(bad))), wrong);
      }
      session.appendBundles(List.of(good)).get();
      assertEquals(0, events.await(Kind.END, HIWORLD).code());
    }
  }

  @Test
  void backupAppendBundles_ofWhatIsNoBundleIs13900020() throws Exception {
    Events events = new Events();
    try (BackupService service = embedded();
        SessionBackup session = new SessionBackup(service, events)) {
      for (List<String> wrong : wrongLists()) {
        assertEquals(INVALID, codeOf(() -> session.appendBundles(wrong)));
        assertEquals(
            INVALID, codeOf(() -> told(callback -> session.appendBundles(wrong, callback))));
      }
      for (List<String> wrong : wrongInfos()) {
        assertEquals(INVALID, codeOf(() -> session.appendBundles(List.of(HIWORLD), wrong)));
      }
      assertEquals(List.of(), events.notes());
      session.appendBundles(List.of(HIWORLD)).get();
      assertEquals(0, events.await(Kind.END, HIWORLD).code());
    }
  }

  @Test
  void restoreAppendBundles_ofWhatIsNoBundleIs13900020() throws Exception {
    Events events = new Events();
    try (BackupService service = embedded();
        FileData capabilities = service.getLocalCapabilities().get();
        SessionRestore session = new SessionRestore(service, events)) {
      Fd fd = capabilities.fd();
      for (List<String> wrong : wrongLists()) {
        assertEquals(INVALID, codeOf(() -> session.appendBundles(fd, wrong)));
        assertEquals(
            INVALID, codeOf(() -> told(callback -> session.appendBundles(fd, wrong, callback))));
      }
      for (List<String> wrong : wrongInfos()) {
        assertEquals(INVALID, codeOf(() -> session.appendBundles(fd, List.of(HIWORLD), wrong)));
      }
      List<String> contents = List.of("", "no JSON", "[]", "{}", "{\"bundleInfos\": 1}");
      for (String content : contents) {
        try (Fd wrong = file("capabilities", content)) {
          assertEquals(
              INVALID, codeOf(() -> session.appendBundles(wrong, List.of(HIWORLD))), content);
        }
      }
      assertEquals(List.of(), events.notes());
      session.appendBundles(fd, List.of(HIWORLD)).get();
      assertEquals(0, events.await(Kind.BEGIN, HIWORLD).code());
    }
  }

  @Test
  void appendBundles_of10000NamesRefusesEachThatIsUnknown() throws Exception {
    List<String> names = new ArrayList<>();
    for (int i = 0; i < 9_999; ++i) {
      names.add("com.example.unknown." + i);
    }
    names.add(HIWORLD);
    names.add(HIWORLD); // counts once
    Events events = new Events();
    try (BackupService service = embedded();
        SessionBackup session = new SessionBackup(service, events)) {
      session.appendBundles(names).get();
      assertEquals(0, events.awaitAll().code());
    }
    assertEquals(10_000, events.all(Kind.BEGIN).size());
    assertEquals(
        9_999, events.all(Kind.BEGIN).stream().filter(begin -> begin.code() == NOT_ADDED).count());
    assertEquals(List.of(HIWORLD), events.all(Kind.END).stream().map(Note::bundle).toList());
    assertEquals(1, events.all(Kind.ALL).size());
  }

  @Test
  void uri_takesDigitsLettersUnderscoreAndDot() throws Exception {
    Events events = new Events();
    List<String> good = List.of("test.txt", "0aZ_.9", "_", "...", "x".repeat(255));
    List<String> bad =
        List.of("a b", "a/b", "/etc/passwd", "ä", "a-b", "%41", "a\nb", "a\0b", "x".repeat(256));
    try (BackupService service = embedded();
        SessionRestore session = new SessionRestore(service, events)) {
      append(service, session, List.of(HIWORLD));
      for (String uri : withNull(bad)) {
        FileMeta file = new FileMeta(HIWORLD, uri);
        assertEquals(INVALID, codeOf(() -> session.getFileHandle(file)), uri);
        assertEquals(INVALID, codeOf(() -> session.publishFile(file)), uri);
      }
      for (String uri : good) {
        session.getFileHandle(new FileMeta(HIWORLD, uri)).get();
      }
      events.await(Kind.FILE, HIWORLD, good.size());
    }
    assertEquals(good, events.all(Kind.FILE).stream().map(Note::text).toList());
    assertFalse(events.all(Kind.FILE).stream().anyMatch(file -> file.code() != 0));
  }

  private static List<List<String>> wrongLists() {
    List<List<String>> lists = new ArrayList<>();
    lists.add(null);
    lists.add(List.of());
    lists.add(Arrays.asList(HIWORLD, null));
    NO_NAMES.forEach(name -> lists.add(List.of(HIWORLD, name)));
    return lists;
  }

  private static List<List<String>> wrongInfos() {
    List<List<String>> lists = new ArrayList<>();
    lists.add(null);
    lists.add(List.of());
    lists.add(List.of("{}", "{}"));
    lists.add(Arrays.asList((String) null));
    for (String wrong : List.of("", "[]", "1", "no JSON", "{", "{} {}", "{}, {}")) {
      lists.add(List.of(wrong));
    }
    return lists;
  }

  private static List<String> withNull(List<String> names) {
    List<String> all = new ArrayList<>(names);
    all.add(null);
    return all;
  }

  private interface Act {
    void on(BackupService service) throws Exception;
  }

  /** Acts between a bundle's begin and its end, which has a code. */
  private void whileRunning(Act act, int code) throws Exception {
    try (BackupService service = embedded()) {
      Events events = new Events().atBegin(bundle -> act.on(service));
      try (SessionBackup session = new SessionBackup(service, events)) {
        session.appendBundles(List.of(HIWORLD)).get();
        assertEquals(code, events.await(Kind.END, HIWORLD).code());
        assertEquals(0, events.awaitAll().code());
      }
    }
  }
}
