package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The rate as a listener sees it. A file that comes late breaks no claim made here; how exact the
 * rate is, {@link org.backupkit.bench.Bench} measures.
 */
@Timeout(120)
class SendRateTest {
  private static final String APP = "com.example.app";
  private static final String OTHER = "com.example.other";
  private static final int DEFAULT_RATE = 60;
  private static final int MAX_RATE = 800;

  @TempDir Path directory;
  private Device device;
  private Path sandbox;

  @BeforeEach
  void makeADevice() throws IOException {
    device = new Device(directory.resolve("device"));
    device.configure("{\"packingLimit\": 100}");
    sandbox = device.addBundle(APP);
    Files.write(device.addBundle(OTHER).resolve("big.bin"), Device.bytes(1000));
  }

  @ParameterizedTest
  @CsvSource({"1, 4", "10, 15", "60, 90", "300, 250", "800, 500"})
  void noMoreFilesComeThanTheRateAllowsAndAllOfThemInOrder(int rate, int files) throws Exception {
    addFiles(files);
    Path store = directory.resolve("store");
    try (BackupService service = BackupService.embedded(device.root())) {
      Updating journal = new Updating(store, service, 0, rate);
      long start = System.nanoTime();
      try (SessionBackup session = new SessionBackup(service, journal)) {
        session.appendBundles(List.of(APP)).get();
        journal.awaitAll();
      }
      assertEquals(0, journal.await(Kind.END, APP).code());
      List<Note> came = journal.of(Kind.FILE, APP);
      assertEquals(files + 2, came.size(), "each file, a part and manage.json");
      assertEquals(inOrder(store.resolve(APP)), came.stream().map(Note::text).toList());
      assertTrue(journal.updated, "updateSendRate between begin and end");
      for (int i = 0; i < came.size(); i++) {
        double most =
            (DEFAULT_RATE <= rate
                    ? allowed(rate, came.get(i).time() - start)
                    : allowed(DEFAULT_RATE, journal.updatedAt - start)
                        + rate * seconds(came.get(i).time() - journal.updatedAt))
                + depth(Math.max(rate, DEFAULT_RATE));
        assertTrue(i + 1 <= most, "file " + (i + 1) + " of at most " + most);
      }
    }
  }

  @Test
  void thereAreSixtyASecondUnlessItIsSaid() throws Exception {
    addFiles(60);
    Journal journal = new Journal();
    try (BackupService service = BackupService.embedded(device.root());
        SessionBackup session = new SessionBackup(service, journal)) {
      long start = System.nanoTime();
      session.appendBundles(List.of(APP)).get();
      journal.awaitAll();
      // manage.json costs a token, too.
      assertEquals(62, journal.of(Kind.FILE, APP).size());
      assertTrue(62 <= allowed(DEFAULT_RATE, journal.await(Kind.END, APP).time() - start) + 3);
    }
  }

  @Test
  void moreThanTheMaximumIsTheMaximumAndASettingRaisesIt() throws Exception {
    addFiles(400);
    long fewest = timeOf(Integer.MAX_VALUE);
    assertTrue(402 <= allowed(MAX_RATE, fewest) + depth(MAX_RATE), fewest + " ns");
    device.configure("{\"packingLimit\": 100, \"maxSendRate\": 40}");
    // The default is no more than the maximum, either.
    Device.empty(sandbox);
    addFiles(40);
    long slow = timeOf(MAX_RATE);
    assertTrue(42 <= allowed(40, slow) + depth(40), slow + " ns");
  }

  @Test
  void rate0HoldsEverythingUntilThereIsARateAgain() throws Exception {
    addFiles(300);
    try (BackupService service = BackupService.embedded(device.root())) {
      Updating journal = new Updating(null, service, 10, 0);
      SessionBackup session = new SessionBackup(service, journal);
      session.appendBundles(List.of(APP)).get();
      journal.await(Kind.FILE, APP, 10);
      int held = filesAfterALook(session, journal, 1);
      // The service has started a process, counted files and answered meanwhile; twice.
      assertEquals(held, filesAfterALook(session, journal, 2));
      assertEquals(held, filesAfterALook(session, journal, 3));
      assertTrue(held < 300, held + " files");
      assertEquals(List.of(), journal.of(Kind.END, APP));
      assertTrue(service.updateSendRate(APP, MAX_RATE));
      assertEquals(0, journal.await(Kind.END, APP).code());
      assertEquals(302, journal.of(Kind.FILE, APP).size());
      session.close();
    }
  }

  @Test
  void aChangeActsOnTheNextFile() throws Exception {
    addFiles(120);
    try (BackupService service = BackupService.embedded(device.root())) {
      Updating journal = new Updating(null, service, 0, 1);
      SessionBackup session = new SessionBackup(service, journal);
      long start = System.nanoTime();
      session.appendBundles(List.of(APP)).get();
      journal.await(Kind.BEGIN, APP);
      int before = filesAfterALook(session, journal, 1);
      long fast = System.nanoTime();
      assertTrue(service.updateSendRate(APP, 400));
      assertEquals(0, journal.await(Kind.END, APP).code());
      List<Note> came = journal.of(Kind.FILE, APP);
      assertEquals(122, came.size());
      assertTrue(before < 122, before + " files");
      for (int i = 0; i < came.size(); i++) {
        long time = came.get(i).time();
        double most =
            allowed(DEFAULT_RATE, journal.updatedAt - start)
                + allowed(1, fast - start)
                + depth(400)
                + (time > fast ? allowed(400, time - fast) : 0);
        assertTrue(i + 1 <= most, "file " + (i + 1) + " of at most " + most);
      }
      session.close();
    }
  }

  @Test
  void updateSendRate_isTrueOnlyBetweenBeginAndEndOfABackupsBundle() throws Exception {
    addFiles(300);
    Path socket = directory.resolve("service.sock");
    try (ServiceProcess process = ServiceProcess.start(device.root(), socket);
        BackupService service = process.connect();
        BackupService another = process.connect()) {
      Updating journal = new Updating(null, service, 0, 0);
      assertFalse(service.updateSendRate(APP, 100), "without a session");
      try (SessionBackup session = new SessionBackup(service, journal)) {
        assertFalse(service.updateSendRate(APP, 100), "before it was appended");
        session.appendBundles(List.of(APP)).get();
        journal.await(Kind.BEGIN, APP);
        assertFalse(another.updateSendRate(APP, 100), "from another connection");
        assertFalse(another.updateTimer(APP, 100), "from another connection");
        assertFalse(service.updateSendRate(OTHER, 100), "a bundle that was not appended");
        assertFalse(service.updateSendRate("com.example.unknown", 100), "no bundle at all");
        BackupException negative =
            assertThrows(BackupException.class, () -> service.updateSendRate(APP, -1));
        assertSame(ErrorCode.PARAMETER, negative.error());
        assertTrue(service.updateSendRate(APP, 800));
        journal.awaitAll();
        assertFalse(service.updateSendRate(APP, 100), "after its end");
      }
      Journal restoring = new Journal();
      try (FileData capabilities = service.getLocalCapabilities().get();
          SessionRestore session = new SessionRestore(service, restoring)) {
        session.appendBundles(capabilities.fd(), List.of(APP)).get();
        restoring.await(Kind.BEGIN, APP);
        assertFalse(service.updateSendRate(APP, 100), "in a restore");
      }
    }
  }

  @Test
  void aRateIsOfOneBundle() throws Exception {
    addFiles(50);
    try (BackupService service = BackupService.embedded(device.root())) {
      Updating journal = new Updating(null, service, 0, 0);
      SessionBackup session = new SessionBackup(service, journal);
      session.appendBundles(List.of(APP, OTHER)).get();
      assertEquals(0, journal.await(Kind.END, OTHER).code());
      assertEquals(List.of(), journal.of(Kind.END, APP));
      assertTrue(service.updateSendRate(APP, 800));
      assertEquals(0, journal.await(Kind.END, APP).code());
      session.close();
    }
  }

  private void addFiles(int count) throws IOException {
    for (int i = 0; i < count; i++) {
      Files.write(sandbox.resolve(i + ".bin"), Device.bytes(200));
    }
  }

  /** How long the backup of the bundle takes at a rate that is set at its begin. */
  private long timeOf(int rate) throws Exception {
    try (BackupService service = BackupService.embedded(device.root())) {
      Updating journal = new Updating(null, service, 0, rate);
      long start = System.nanoTime();
      try (SessionBackup session = new SessionBackup(service, journal)) {
        session.appendBundles(List.of(APP)).get();
        journal.awaitAll();
      }
      assertEquals(0, journal.await(Kind.END, APP).code());
      return journal.await(Kind.END, APP).time() - start;
    }
  }

  /** How many files had come when the service had done something that takes it a while. */
  private static int filesAfterALook(SessionBackup session, Journal journal, int number)
      throws Exception {
    session.getBackupDataSize(true, List.of(new IncrementalBackupTime(OTHER, 0))).get();
    journal.await(Kind.SIZE, "", number); // told after all files that were sent before it
    return journal.of(Kind.FILE, APP).size();
  }

  /** The files of a backup in the order of its manage.json, which is the last. */
  private static List<String> inOrder(Path store) throws IOException {
    List<String> names = new ArrayList<>();
    for (JsonNode item : new ObjectMapper().readTree(store.resolve("manage.json").toFile())) {
      names.add(item.path("fileName").asText());
    }
    names.add("manage.json");
    return names;
  }

  private static double allowed(int rate, long nanoseconds) {
    return rate * seconds(nanoseconds);
  }

  private static double seconds(long nanoseconds) {
    return nanoseconds / 1e9;
  }

  private static int depth(int rate) {
    return Math.max(1, rate / 20);
  }

  /** Sets the rate when the bundle begins, which is file 0, or with another file. */
  private static final class Updating extends Journal {
    volatile boolean updated;
    volatile long updatedAt;
    private final BackupService service;
    private final int when;
    private final int rate;
    private int files;

    Updating(@Nullable Path store, BackupService service, int when, int rate) {
      super(store);
      this.service = service;
      this.when = when;
      this.rate = rate;
    }

    @Override
    public void onBundleBegin(@Nullable BackupException error, String bundleName) {
      if (bundleName.equals(APP) && when == 0) {
        update();
      }
      super.onBundleBegin(error, bundleName);
    }

    @Override
    public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
      super.onFileReady(error, file);
      if (++files == when) {
        update();
      }
    }

    // Before it returns nothing that follows is told, so the bundle cannot have ended.
    private void update() {
      try {
        updated = service.updateSendRate(APP, rate);
        updatedAt = System.nanoTime();
      } catch (BackupException e) {
        throw new IllegalStateException(e);
      }
    }
  }
}
