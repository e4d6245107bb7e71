package org.backupkit.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.backupkit.BackupException;
import org.backupkit.BackupFile;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.GeneralCallbacks;
import org.backupkit.IncrementalBackupData;
import org.backupkit.IncrementalBackupSession;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The last steps of a backup, one by one. */
@Timeout(60)
class PublishTest {
  private static final String BUNDLE = "com.example.notes";
  private static final String BIG = "big.bin";

  @TempDir Path folder;
  private Device device;
  private Path home;
  private Incoming incoming;
  private @Nullable Leftover leftover;

  @BeforeEach
  void bringAllFiles() throws Exception {
    device = new Device(folder.resolve("device"));
    Path sandbox = device.addBundle(BUNDLE);
    Files.write(sandbox.resolve(BIG), Device.bytes(3 << 20));
    home = folder.resolve("store").resolve(BUNDLE);
    bring(uri -> {});
  }

  /** Begins a snapshot and adds what comes, each file after {@code before} has heard of it. */
  private void bring(Consumer<String> before) throws Exception {
    close();
    Start start = Start.find(home, false);
    leftover = start.leftover();
    incoming = Incoming.begin(BUNDLE, start);
    CompletableFuture<Void> ended = new CompletableFuture<>();
    GeneralCallbacks adding =
        new GeneralCallbacks() {
          @Override
          public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
            try (file) {
              before.accept(Objects.requireNonNull(file).uri());
              incoming.add(file);
            }
          }

          @Override
          public void onAllBundlesEnd(@Nullable BackupException error) {
            ended.complete(null);
          }
        };
    try (BackupService service = BackupService.embedded(device.root());
        IncrementalBackupSession session = new IncrementalBackupSession(service, adding)) {
      session.appendBundles(List.of(IncrementalBackupData.builder(BUNDLE).build())).get();
      ended.get();
    }
  }

  @AfterEach
  void close() {
    if (incoming != null) {
      incoming.close();
    }
  }

  @Test
  void aRunThatDiesWhileItIsMadeDurable_isGoneOnWith() throws IOException {
    incoming.complete(Json.object(), false, Json.Totals.NONE);
    Leftover left = Start.find(home, false).leftover();
    assertEquals(1, Objects.requireNonNull(left).parts().size());
    incoming.publish();
    Set<String> files = names(home.resolve(incoming.id()));
    files.removeIf(name -> name.endsWith(".tar") || name.endsWith(".bin"));
    assertEquals(Set.of("manage.json", "manifest", "snapshot.json"), files);
  }

  @Test
  void aRunThatCannotMakeItsNameDurable_leavesNoSnapshot() throws IOException {
    incoming.complete(Json.object(), false, Json.Totals.NONE);
    Thread.currentThread().interrupt(); // a sync refuses then
    assertThrows(IOException.class, incoming::publish);
    assertTrue(Thread.interrupted());
    assertEquals(List.of(), Directories.snapshots(home));
    incoming.discard();
    assertEquals(Set.of(), names(home));
  }

  @Test
  void aPartOfTheNameOfOneThatWasLeft_isNotTakenForIt() throws Exception {
    bring(
        uri -> {
          if (Leftover.isPart(uri)) {
            Map<String, Leftover.Part> parts = Objects.requireNonNull(leftover).parts();
            parts.put(uri, parts.values().iterator().next());
          }
        });
    Failure failure = incoming.failure();
    assertNotNull(failure);
    assertTrue(failure.message().contains("the name of an earlier file"), failure.message());
  }

  private static Set<String> names(Path directory) throws IOException {
    return Directories.entries(directory).stream()
        .map(entry -> entry.getFileName().toString())
        .collect(Collectors.toSet());
  }
}
