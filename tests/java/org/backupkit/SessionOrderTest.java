package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class SessionOrderTest {
  // Neither the order of the names nor that of the files on the device.
  private static final List<String> BUNDLES =
      List.of("com.example.m", "com.example.z", "com.example.a", "com.example.x", "com.example.b");
  // More than a client may have under way, so that no extension ends before a callback returns.
  private static final int FILES = 100;

  @TempDir Path directory;

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void bundles_startInCallOrder_andAtMostMaxExtensionsAtOnce(int maxExtensions) throws Exception {
    Device device = new Device(directory.resolve("device"));
    device.configure("{\"packingLimit\": 100, \"maxExtensions\": %d}".formatted(maxExtensions));
    for (String bundle : BUNDLES.stream().sorted().toList()) {
      Path sandbox = device.addBundle(bundle);
      for (int i = 0; i < FILES; ++i) {
        Files.write(sandbox.resolve(i + ".bin"), Device.bytes(101));
      }
    }
    List<String> events = new ArrayList<>();
    try (BackupService service = BackupService.embedded(device.root())) {
      Counter counter = new Counter(service);
      try (SessionBackup session = new SessionBackup(service, counter)) {
        session.appendBundles(BUNDLES).get();
        for (String event = ""; !event.startsWith("all "); events.add(event)) {
          event = counter.next();
        }
      }
      assertEquals(maxExtensions, counter.atFirstFile.get(30, TimeUnit.SECONDS));
    }
    assertEquals(
        BUNDLES.stream().map(bundle -> "begin " + bundle + " 0").toList(),
        events.stream().filter(event -> event.startsWith("begin ")).toList());
    assertEquals(maxExtensions, mostAtOnce(events), events.toString());
    assertEquals("all 0", events.get(2 * BUNDLES.size()), events.toString());
  }

  private static int mostAtOnce(List<String> events) {
    int most = 0;
    int running = 0;
    for (String event : events) {
      running += event.startsWith("begin ") ? 1 : event.startsWith("end ") ? -1 : 0;
      most = Math.max(most, running);
    }
    return most;
  }

  /** Counts the service's processes while the first file's callback keeps them from their end. */
  private static final class Counter extends Recorder {
    final CompletableFuture<Integer> atFirstFile = new CompletableFuture<>();
    private final BackupService service;

    Counter(BackupService service) {
      this.service = service;
    }

    @Override
    public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
      if (!atFirstFile.isDone()) {
        atFirstFile.complete(extensions());
      }
      super.onFileReady(error, file);
    }

    private int extensions() {
      return Extensions.children(service).size();
    }
  }
}
