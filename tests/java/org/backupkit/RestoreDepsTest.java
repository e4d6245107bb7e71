package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.backupkit.store.BundleResult;
import org.backupkit.store.ProgressEvent.Kind;
import org.backupkit.store.RestoreReport;
import org.backupkit.store.SnapshotStore;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A bundle of a restore waits for those that its restoreDeps name. */
@Timeout(60)
class RestoreDepsTest {
  private static final String A = "com.example.a";
  private static final String B = "com.example.b";
  private static final String C = "com.example.c";

  @TempDir Path directory;
  private Device device;
  private SnapshotStore store;
  private final List<String> told = new ArrayList<>();

  @BeforeEach
  void backUp() throws IOException {
    Device.openToAll(directory);
    device = new Device(directory.resolve("device"));
    for (String bundle : List.of(A, B, C)) {
      Files.writeString(device.addBundle(bundle).resolve("note.txt"), bundle);
    }
    store = SnapshotStore.open(directory.resolve("store"));
    try (BackupService service = BackupService.embedded(device.root())) {
      assertTrue(store.backup(service, List.of(A, B, C), event -> {}).succeeded());
    }
  }

  @Test
  void eachBeginsWhenThoseItNamesHaveEnded_whateverTheOrderOfTheCall() throws IOException {
    device.setRule(A, "restoreDeps", C + ", " + B + ",com.example.elsewhere");
    device.setRule(B, "restoreDeps", C);
    assertTrue(restore(List.of(A, B, C)).succeeded());
    assertEquals(
        List.of("BEGIN " + C, "END " + C, "BEGIN " + B, "END " + B, "BEGIN " + A, "END " + A),
        told);
  }

  @Test
  void oneThatFailsOrIsNotThere_isWaitedForNoLonger() throws IOException {
    device.setRule(A, "restoreDeps", B + "," + C);
    device.setHook(B, List.of("hooks/none"));
    ShellHook.add(device, C, Map.of("onRestore", "answer '\"error\":\"no\"'"));
    RestoreReport report = restore(List.of(A, B, C));
    assertEquals(
        Map.of(
            A, 0, B, ErrorCode.EXTENSION_START_FAILED.code(), C, ErrorCode.EXTENSION_THREW.code()),
        Map.of(A, code(report, A), B, code(report, B), C, code(report, C)));
    assertEquals(List.of("BEGIN " + A, "END " + A), told.subList(told.size() - 2, told.size()));
  }

  @Test
  void aCircleIsAnErrorAtTheAppend_whichMayBeMadeAgain() throws Exception {
    device.setRule(A, "restoreDeps", B);
    device.setRule(B, "restoreDeps", C);
    device.setRule(C, "restoreDeps", A);
    Journal journal = new Journal();
    try (BackupService service = BackupService.embedded(device.root());
        SessionRestore session = new SessionRestore(service, journal);
        FileData capabilities = service.getLocalCapabilities().get()) {
      BackupException circle =
          failureOf(session.appendBundles(capabilities.fd(), List.of(A, B, C)));
      assertSame(ErrorCode.INVALID_ARGUMENT, circle.error());
      assertTrue(circle.getMessage().contains(A + ", " + B + ", " + C + ", " + A), "" + circle);
      assertEquals(List.of(), journal.notes());
      session.appendBundles(capabilities.fd(), List.of(A, B)).get();
      journal.await(Journal.Kind.BEGIN, B);
      // A still waits; it is taken out, and B is let go.
      assertEquals(ErrorCode.CANCEL_NOT_BEGUN.code(), session.cancel(A));
      assertEquals(0, session.cancel(B));
      journal.awaitAll();
      assertEquals(List.of(), journal.of(Journal.Kind.BEGIN, A));
    }
  }

  @Test
  void oneThatWaitsForACancelledOneBegins() throws Exception {
    device.configure("{\"maxExtensions\": 1}");
    device.setRule(A, "restoreDeps", B);
    Journal journal = new Journal();
    try (BackupService service = BackupService.embedded(device.root());
        SessionRestore session = new SessionRestore(service, journal);
        FileData capabilities = service.getLocalCapabilities().get()) {
      session.appendBundles(capabilities.fd(), List.of(C, A, B)).get();
      journal.await(Journal.Kind.BEGIN, C);
      assertEquals(ErrorCode.CANCEL_NOT_BEGUN.code(), session.cancel(B));
      assertEquals(0, session.cancel(C));
      journal.await(Journal.Kind.BEGIN, A);
      assertEquals(0, session.cancel(A));
      journal.awaitAll();
    }
  }

  private static BackupException failureOf(Future<?> future) {
    Throwable failure = assertThrows(ExecutionException.class, future::get).getCause();
    return assertInstanceOf(BackupException.class, failure);
  }

  private RestoreReport restore(List<String> bundles) throws IOException {
    try (BackupService service = BackupService.embedded(device.root())) {
      return store.restore(
          service,
          bundles,
          event -> {
            if (event.kind() == Kind.BEGIN || event.kind() == Kind.END) {
              told.add(event.kind() + " " + event.bundle());
            }
          });
    }
  }

  private static int code(RestoreReport report, String bundle) {
    return report.bundles().stream()
        .filter(result -> result.bundle().equals(bundle))
        .mapToInt(BundleResult::code)
        .sum();
  }
}
